import Testing
import XIVETestSupport

@Suite("Programs with trapped windows", .enabled(if: TrapLibrary.canBuild), .hangGuard)
struct PreloadTests {
  /// A page size and a number of pages per source.
  struct Geometry: CustomTestStringConvertible, Sendable {
    let pageSize: String
    let pages: String
    var testDescription: String { "\(pageSize), \(pages) per source" }
    static let all = ["4k", "64k"].flatMap { size in
      ["2", "1"].map { Geometry(pageSize: size, pages: $0) }
    }
  }

  @Test(
    "The consumer as it is gets exact answers, and is content, in every geometry",
    arguments: Geometry.all, TrapChoice.all)
  func consumer(_ geometry: Geometry, _ choice: TrapChoice) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/consumer"
    try TrapLibrary.compile("tools/examples/consumer.c", to: program, isLinked: false)
    let served = try ServedDevice([
      "--sources", "64", "--create", "16-39", "--page-size", geometry.pageSize,
      "--esb-pages", geometry.pages,
    ])
    let words = [program, served.path, "16", "--hole"]
    let run = try TrapLibrary.preloaded(words + ["40"], choice: choice.value)
    #expect(run.exitCode == 0, "\(run.text)")
    let trapped = "window: trapped, each load and store is one exact operation"
    #expect(run.lines.contains("tima \(trapped)") == choice.tima, "\(run.text)")
    #expect(run.lines.contains("esb \(trapped)") == choice.esb, "\(run.text)")
    #expect(run.lines.contains("pq after both, trapped: 0x3") == choice.esb)
    #expect(!run.text.contains("FAILED"))
    // It finds fault with what is no hole, and with a source that is not there.
    #expect(try TrapLibrary.preloaded(words + ["18"], choice: choice.value).exitCode == 1)
    #expect(
      try TrapLibrary.preloaded([program, served.path, "50"], choice: choice.value).exitCode == 1)
  }

  /// Runs a C program of these tests, linked with the library, on a device with 64 sources.
  private func expectContent(
    _ name: String, _ arguments: [String] = [], choice: String? = nil, saying lines: [String] = []
  ) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/program"
    try TrapLibrary.compile("Tests/TrapPreloadTests/\(name).c", to: program, isLinked: true)
    let served = try ServedDevice([
      "--sources", "64", "--create", "0-63", "--phb", "0:8", "--phb", "1:4",
    ])
    let variables = choice.map { ["XIVE_TRAP=\($0)"] } ?? []
    let run = try ProgramRun("/usr/bin/env", variables + [program, served.path] + arguments)
    #expect(run.lines == lines + ["all as expected"])
    #expect(run.exitCode == 0)
  }

  @Test(
    "Windows are mapped, cut, moved, protected, mapped over and inherited as other mappings are",
    arguments: ["mappings", "moves", "protections", "overmaps"])
  func mappings(_ program: String) throws { try expectContent(program) }

  @Test("The environment chooses which pages trap", arguments: TrapChoice.all)
  func kinds(_ choice: TrapChoice) throws {
    try expectContent("kinds", [choice.letters], choice: choice.value)
  }

  @Test("A choice that is none is said, and all pages trap", arguments: TrapChoice.misspelt)
  func misspeltChoice(_ choice: TrapChoice) throws {
    try expectContent(
      "kinds", [choice.letters], choice: choice.value, saying: [TrapChoice.complaint])
  }

  @Test("SIGSEGV is never blocked, and the program sees the actions and masks that it has set")
  func signals() throws { try expectContent("signals") }

  @Test("A program that is started with SIGSEGV blocked has windows, and sees what it was given")
  func inheritedMask() throws {
    // Python blocks it before it becomes the program.
    let script = """
      import os, signal, sys
      signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSEGV])
      os.execv(sys.argv[1], sys.argv[1:])
      """
    let directory = try TemporaryDirectory()
    let program = directory.path + "/inherited"
    try TrapLibrary.compile("Tests/TrapPreloadTests/inherited.c", to: program, isLinked: true)
    let served = try ServedDevice(["--sources", "64", "--create", "0-63"])
    let run = try ProgramRun("/usr/bin/python3", ["-c", script, program, served.path])
    #expect(run.lines == ["all as expected"])
    #expect(run.exitCode == 0)
  }

  @Test("A program that closes every descriptor keeps its windows")
  func descriptors() throws { try expectContent("descriptors") }

  @Test("A guest's kernel with plain pointers takes 100,000 interrupts and loses none")
  func guest() throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/guest"
    try TrapLibrary.compile("Tests/TrapPreloadTests/guest.c", to: program, isLinked: false)
    let served = try ServedDevice(["--sources", "64", "--max-vcpus", "2"])
    let run = try TrapLibrary.preloaded([program, served.path, "100000"])
    #expect(
      run.lines == ["none lost, none twice", "100000 interrupts, 0 not as expected"])
    #expect(run.exitCode == 0)
    // Without the library its pages are memory, which answers no load.
    #expect(try ProgramRun(program, [served.path, "1000"]).exitCode != 0)
  }
}
