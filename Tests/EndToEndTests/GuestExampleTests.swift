import SystemCalls
import Testing
import XIVEHarness
import XIVETestSupport

/// Whether a guest can be run here.
private var canRunGuests: Bool {
  let missing = Need.kvm.whatIsMissing
  return Requirement.check(missing == nil, missing ?? "")
}

@Suite(
  "A KVM guest with a source's pages",
  .enabled(if: Requirement.canMount && Requirement.has("cc", package: "gcc")), .hangGuard)
struct GuestExampleTests {
  /// A line of the table.
  private struct Row {
    let operations, exits: Int
    let times: [Double]

    /// Reads the line that begins with a name.
    init?(_ name: String, _ lines: [String]) {
      guard let line = lines.first(where: { $0.hasPrefix(name) }) else { return nil }
      // Names have commas and colons, and two spaces before the first number.
      let words = line.split(separator: " ").map(String.init).suffix(5)
      guard words.count == 5, let operations = Int(words[words.startIndex]),
        let exits = Int(words[words.startIndex + 1])
      else { return nil }
      self.operations = operations
      self.exits = exits
      times = words.suffix(3).compactMap { Double($0) }
    }
  }

  @Test(
    "It takes its exits, triggers and live loads as expected, whatever the pages",
    .enabled(if: canRunGuests),
    arguments: [[], ["--page-size", "64k"], ["--esb-pages", "1"], ["--tick", "0"]])
  func allWays(_ options: [String]) throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    let served = try ServedDevice(["--create", "0-31"] + options)
    let run = try CommandResult([guest, served.path, "17", "--rounds", "20"])
    #expect(run.exitCode == 0 && run.errors == [], "\(run)")
    #expect(run.output.last == "all as expected")
    // Each load and store without memory leaves the guest, and so does a store to what is read-only: nothing else.
    let expected: [(name: String, operations: Int, exits: Int, times: Int)] = [
      ("nothing but reading the TSC", 20, 0, 2), ("no memslot: load", 180, 180, 3),
      ("no memslot: store", 40, 40, 3), ("ioeventfd to irqfd: trigger", 20, 0, 2),
      ("  from there until the memslot shows it", 20, 0, 2),
      ("read-only memslot: load of PQ", 2_560, 0, 2),
      ("read-only memslot: store, refused", 20, 20, 2),
    ]
    for line in expected {
      let row = try #require(Row(line.name, run.output), "\(line.name): \(run.output)")
      #expect(row.operations == line.operations && row.exits == line.exits, "\(line.name)")
      #expect(row.times.count == line.times, "\(line.name)")
      #expect(row.times[0] > 0 && row.times[1] >= row.times[0], "\(line.name)")
    }
    #expect(run.output.contains("triggers by ioeventfd that the device has taken: 20"))
    #expect(run.output.contains("stores to the read-only memslot that nobody got: 20"))
    // Its PQ is what it was.
    let after = try CommandResult.xive("peek", served.path, "esb:17:management+0x800")
    #expect(after.output == ["0x0000000000000001"])
  }

  @Test(
    "A burst is counted by what came of it, no more than there were triggers",
    .enabled(if: canRunGuests))
  func burst() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    let served = try ServedDevice(["--create", "0-31"])
    let run = try CommandResult([guest, served.path, "--rounds", "500"])
    #expect(run.exitCode == 0, "\(run)")
    let line = try #require(run.output.first { $0.hasPrefix("  events that came of them: ") })
    let count = try #require(line.split(separator: " ").last.flatMap { Int($0) })
    #expect((1...500).contains(count))
  }

  @Test(
    "The guest itself finds a wrong value: a pointer that does not trap",
    .enabled(if: canRunGuests))
  func wrongValue() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    let served = try ServedDevice(["--create", "0-31"])
    let run = try CommandResult([guest, served.path, "--pointer"])
    #expect(run.exitCode == 1)
    #expect(
      run.output.suffix(2) == [
        "SET_PQ_00: FAILED in round 0: the guest expected 0 and saw 0xffffffffffffffff",
        "a plain pointer is exact only under LD_PRELOAD=libxive-trap.so",
      ])
  }

  @Test(
    "Under the preloaded library the same pointer is exact, beside a memslot that is only mapped",
    .enabled(if: canRunGuests))
  func exactPointer() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    let library = directory.path + "/libxive-trap.so"
    let built = try ProgramRun(Built.sourceRoot + "/tools/trap", [library])
    #expect(built.exitCode == 0, "\(built.text)")
    let served = try ServedDevice(["--create", "0-31"])
    let preload = ["/usr/bin/env", "LD_PRELOAD=" + library]
    let run = try CommandResult(preload + [guest, served.path, "--pointer", "--rounds", "20"])
    #expect(run.exitCode == 0 && run.errors == [], "\(run)")
    let row = try #require(Row("no memslot: load, by a pointer", run.output), "\(run)")
    #expect(row.operations == 180 && row.exits == 180)
  }

  @Test("A source that is none, and one that an irqfd cannot trigger", .enabled(if: canRunGuests))
  func wrongSource() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    let served = try ServedDevice(["--sources", "64", "--create", "0-31", "--create", "32:lsi"])
    for lisn in ["33", "64"] {
      let run = try CommandResult([guest, served.path, lisn])
      #expect(run.exitCode == 1 && run.errors.count == 1)
      #expect(run.errors[0].hasPrefix("guest: LISN: no such source: "), "\(run)")
    }
    let level = try CommandResult([guest, served.path, "32"])
    #expect(level.exitCode == 1)
    #expect(level.errors == ["guest: KVM_IRQFD, for message sources alone: Invalid argument"])
  }

  @Test("It ends when its server is killed", .enabled(if: canRunGuests))
  func killedServer() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    var served = try ServedDevice(["--create", "0-31"])
    var process = try ChildProcess(guest, [served.path, "--rounds", "10000"])
    #expect(process.line(within: 120_000)?.hasPrefix("LISN 16: ") == true)
    served.signal(9)
    #expect(process.exitCode(within: 120_000) == 1)
    _ = served.exitCode()
  }

  @Test("Wrong words are refused")
  func usage() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    for words in [
      [], ["--rounds", "1"], ["device", "x"], ["device", "-1"], ["device", "0x100000"],
      ["device", "1", "2"], ["device", "--rounds"], ["device", "--rounds", "0"],
      ["device", "--rounds", "10001"], ["device", "--slow"],
    ] {
      let run = try CommandResult([guest] + words)
      #expect(run.exitCode == 64, "\(words)")
      #expect(run.errors.count == 1 && run.errors[0].hasPrefix("usage: guest PATH"), "\(run)")
    }
  }

  @Test("No server is status 69, with the reason", .enabled(if: canRunGuests))
  func noServer() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    let missing = try CommandResult([guest, directory.path + "/none"])
    #expect(missing.exitCode == 69)
    #expect(missing.errors.first?.hasSuffix("/none: No such file or directory") == true)
    let plain = directory.path + "/plain"
    #expect(try CommandResult(["cp", guest, plain]).exitCode == 0)
    let other = try CommandResult([guest, plain])
    #expect(other.exitCode == 69)
    #expect(other.errors == ["guest: \(plain): no xive device: start xive serve there"])
  }

  @Test(
    "No KVM is status 69, with the reason",
    .enabled(if: Requirement.has("unshare", package: "util-linux")))
  func noKVM() throws {
    let directory = try TemporaryDirectory()
    let guest = try Example.compile("guest", in: directory)
    // Another file in the place of /dev, for this process alone: empty, then with a file that is no KVM.
    let hide = "mount -t tmpfs none /dev; \"$@\""
    let none = try CommandResult(["unshare", "-m", "sh", "-c", hide, "sh", guest, "device"])
    #expect(none.exitCode == 69)
    #expect(none.errors.first?.hasPrefix("guest: /dev/kvm: not there") == true, "\(none)")
    let replace = "mount -t tmpfs none /dev; : >/dev/kvm; \"$@\""
    let other = try CommandResult(["unshare", "-m", "sh", "-c", replace, "sh", guest, "device"])
    #expect(other.exitCode == 69)
    #expect(other.errors.first?.hasPrefix("guest: /dev/kvm: has no ioeventfd") == true, "\(other)")
  }
}
