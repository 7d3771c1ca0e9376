import SystemCalls
import Testing
import XIVEHarness
import XIVETestSupport

@Suite("Demonstration", .enabled(if: Requirement.canMount), .hangGuard)
struct DemoTests {
  @Test(
    "It shows a Swift consumer, a C consumer and QEMU, all as expected",
    .enabled(if: Requirement.has("cc", package: "gcc")),
    .enabled(if: Requirement.has("qemu-system-x86_64", package: "qemu-system-x86")))
  func everything() throws {
    let directory = try TemporaryDirectory()
    let consumer = try Example.compile("consumer", in: directory)
    let guest = try Example.compile("guest", in: directory)
    let vmm = try Example.compile("vmm", in: directory)
    let trap = directory.path + "/libxive-trap.so"
    let built = try CommandResult([Built.sourceRoot + "/tools/trap", trap])
    #expect(built.exitCode == 0, "\(built.errors)")
    let demo = try ProgramRun(
      Built.path("xive"),
      [
        "demo", "--consumer", consumer, "--trap", trap, "--guest", guest, "--vmm", vmm,
        "--events", "4000", "--report", directory.path + "/report.html",
      ])
    #expect(demo.exitCode == 0, "\(demo.text)")
    // The report is of this device, from the first fault to the guest's interrupts.
    let page = TextFile.contents(of: directory.path + "/report.html")
    #expect(demo.lines.contains(directory.path + "/report.html"), "\(demo.text)")
    for part in ["0x1304", "0x1340", "SIGBUS", "PHB 0", "vcpu 0"] {
      let isThere = page.contains(part)
      #expect(isThere, "the report lacks \(part)")
    }
    let guestShows =
      Need.kvm.whatIsMissing.map { "skipped: \($0)" } ?? "read-only memslot: load of PQ"
    for expected in [
      guestShows, "esb:0x1304:management  IPI", "none: SIGBUS", "pq after both, trapped: 0x3",
      "created: the same address gives PQ 01 now",
      "hole, SIGBUS at device offset: 0x2687800", "guest-physical 0xe0023000: LISN 0xf",
      "delivered by the server's tick", "shows PHB 0 irq 0, generation 2, PQ 10",
      "16 events, PQ of the first 11", "1 event more, PQ of the first 10",
      "unplugged: window + 0x1000 shows the source's own, generation 3, PQ 10",
      "shows PHB 1 irq 0, generation 4, PQ 10",
      "with mmap alone: window + 0x1000 shows PHB 0 irq 0",
      "restored: window + 0x1000 shows the source's own, generation 5",
      "ok  4000 events in ", ", none lost, none twice: ", "ok  1000 triggers without a look: ",
      "ok  at rest: every source at PQ 00, every queue read to its end, nothing pending",
      "  all as expected", "saved 8192 sources, ", "restored 8192 sources, ",
      "everything was as expected",
    ] {
      #expect(demo.text.contains(expected), "missing: \(expected)\n\(demo.text)")
    }
  }

  @Test("A consumer that fails makes it fail")
  func failingConsumer() throws {
    let directory = try TemporaryDirectory()
    let demo = try ProgramRun(
      Built.path("xive"),
      ["demo", "--consumer", "/bin/false", "--report", directory.path + "/report.html"])
    #expect(demo.exitCode == 1)
    #expect(demo.text.contains("NOT /bin/false: exit status 1"))
  }

  @Test("Events that would say too little, or never end, are refused", arguments: ["999", "1e6"])
  func events(_ count: String) throws {
    let demo = try ProgramRun(Built.path("xive"), ["demo", "--events", count])
    #expect(demo.exitCode == 64)
    #expect(demo.text.contains("events"), "\(demo.text)")
  }
}
