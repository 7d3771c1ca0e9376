import SystemPackage
import Testing

import XIVETestSupport

@testable import SystemCalls
@testable import XIVETrace

@Suite("What is not permitted", .hangGuard)
struct PermissionTests {
  static let format = """
    name: page_fault_user
    ID: 190
    format:
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

    \tfield:unsigned long address;\toffset:8;\tsize:8;\tsigned:0;
    \tfield:unsigned long ip;\toffset:16;\tsize:8;\tsigned:0;
    \tfield:unsigned long error_code;\toffset:24;\tsize:8;\tsigned:0;
    """

  private static func readText(_ path: String) -> String {
    path.hasPrefix("/sys/kernel/tracing/") ? path.hasSuffix("/id") ? "190\n" : format : ""
  }

  /// Which sources are tried when some are refused.
  private func tried(
    refused: Int, _ error: Errno, readText: (String) -> String = PermissionTests.readText
  ) -> (words: [String], error: Errno?) {
    var words: [String] = []
    do {
      _ = try FaultSource.firstPermitted(FaultSource.all(readText: readText)) {
        (source) throws(Errno) in
        words.append(source.word)
        if words.count <= refused { throw error }
      }
      return (words, nil)
    } catch { return (words, error) }
  }

  @Test("The best source that is permitted is taken")
  func ladder() {
    #expect(tried(refused: 0, .permissionDenied).words == ["tracepoints"])
    #expect(tried(refused: 1, .permissionDenied).words == ["tracepoints", "software"])
    #expect(tried(refused: 2, .notPermitted).words == ["tracepoints", "software", "process"])
    #expect(tried(refused: 3, .permissionDenied).error == .permissionDenied)
    #expect(tried(refused: 0, .permissionDenied) { _ in "" }.words == ["software"])
  }

  @Test("Another error ends the search at once")
  func otherErrors() {
    let found = tried(refused: 1, .noSuchProcess)
    #expect(found.words == ["tracepoints"])
    #expect(found.error == .noSuchProcess)
  }

  @Test(
    "A tracepoint without one of its fields is not used",
    arguments: ["address", " ip;", "error_code"])
  func fields(_ name: String) {
    let text = Self.format.split(separator: "\n").filter { !$0.contains(name) }.joined(
      separator: "\n")
    #expect(FaultFields(format: text) == nil)
    #expect(FaultFields(format: Self.format)?.errorCode == 24)
  }

  @Test(
    "Each refusal says what is missing",
    arguments: [
      (
        Errno.permissionDenied, 3, 0 as UInt32?,
        "kernel.perf_event_paranoid is 3: needs 2 or less, or CAP_PERFMON"
      ),
      (.permissionDenied, 2, 0, "process 42 belongs to user 0: needs CAP_PERFMON, or that user"),
      (.permissionDenied, 2, 1_000, "process 42 may not be looked at"),
      (.notPermitted, 2, 1_000, "perf_event_open is forbidden"),
      (.noFunction, 2, 1_000, "CONFIG_PERF_EVENTS"),
      (.noSuchProcess, 2, nil, "process 42: there is none that can be seen from here"),
      (.noMemory, 2, 1_000, "kernel.perf_event_mlock_kb"),
      (.tooManyOpenFiles, 2, 1_000, "96 descriptors are too many"),
      (.resourceBusy, 2, 1_000, "process 42: "),
    ])
  func words(error: Errno, paranoid: Int, owner: UInt32?, words: String) {
    let facts = KernelTracingError.Facts(
      paranoid: paranoid, owner: owner, user: 1_000, descriptors: 96)
    let line = KernelTracingError(error, process: 42, facts).description
    #expect(line.contains(words))
    #expect(!line.contains("\n"))
  }
}

extension FaultSource {
  fileprivate var word: String {
    switch self {
    case .tracepoints: "tracepoints"
    case .software: "software"
    case .softwareInProcess: "process"
    }
  }
}
