import Testing
import XIVETestSupport

@Suite("Living with trapped windows", .serialized, .hangGuard)
struct LivingTests {
  @Test(
    "A program with signals, threads, children and windows of memory",
    .enabled(if: !Requirement.isSanitized), arguments: Living.cases(onDevice: false))
  func memory(_ name: String) throws { try Living.expect(name) }

  @Test("The program has all of its cases")
  func all() {
    #expect(Living.cases(onDevice: false).count >= 50)
    #expect(Living.cases(onDevice: true).count == 5)
  }

  @Test(
    "A program with windows of a device",
    .enabled(if: Requirement.canMount && !Requirement.isSanitized),
    arguments: Living.cases(onDevice: true))
  func device(_ name: String) throws {
    let served = try ServedDevice([
      "--sources", "64", "--create", "0-31", "--max-vcpus", "8",
    ])
    try Living.expect(name, [served.path, "\(served.processID)"])
  }

  private static let hasCompilers =
    Requirement.has("cc", package: "gcc") && Requirement.has("c++", package: "g++")

  @Test(
    "C++ exceptions out of handlers",
    .enabled(if: hasCompilers && !Requirement.isSanitized), arguments: ["-O0", "-O2"])
  func exceptions(_ optimization: String) throws {
    let build = try LivingBuild([optimization])
    for name in ["throw-bus-error", "throw-chained", "throw-below-signal-stack"] {
      try Living.expect(name, of: build.program)
    }
  }
}
