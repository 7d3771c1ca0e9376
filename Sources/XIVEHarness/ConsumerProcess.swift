internal import Glibc
internal import SystemCalls

/// How a consumer process watches.
public struct ConsumerPlan: Hashable, Sendable {
  /// Watching threads; 0: as many as the options say.
  public var threads = 0
  /// Whether it maps each page by itself rather than one window.
  public var isPerPage = false
  /// Whether it stores to the pages that allow it.
  public var stores = false
  /// Whether it asks for huge pages, which has the kernel fill whole ranges at one touch.
  public var wantsHugePages = false

  /// Creates the usual plan.
  public init() {}

  var words: [String] {
    ["--threads", "\(threads)"] + (isPerPage ? ["--per-page"] : []) + (stores ? ["--store"] : [])
      + (wantsHugePages ? ["--huge-pages"] : [])
  }
}

/// A consumer process of a served device: `xive hotplug consume`, told line by line what to do.
final class ConsumerProcess {
  /// The slots of its watchers.
  let slots: Range<UInt32>
  private var process: ChildProcess

  /// Milliseconds that an answer may take.
  private static let patience = 20_000

  /// Starts a consumer; its threads wait for the board's word.
  init(_ path: String, _ board: Board, _ plan: ConsumerPlan, _ program: String) throws {
    let first = board.takeSlots(plan.threads)
    slots = first..<first + UInt32(plan.threads)
    process = try ChildProcess(
      program, ["hotplug", "consume", path, board.path, "--first-slot", "\(first)"] + plan.words,
      inOwnGroup: true)
    try awaitAnswer("ready")
  }

  /// Its process id.
  var processID: Int32 { process.id }

  /// Tells it something and waits until it has been done.
  func tell(_ line: String) throws {
    send(line)
    try awaitAnswer("done")
  }

  /// Tells it something.
  func send(_ line: String) { process.send(line) }

  /// Waits for the word that it has been done.
  func awaitAnswer(_ word: String) throws {
    guard let answer = process.line(within: Self.patience) else {
      throw HarnessFailure.silent("consumer \(process.id)")
    }
    if answer != word {
      throw HarnessFailure.unexpected(
        "consumer \(process.id)", expected: "'\(word)'", seen: "'\(answer)'")
    }
  }

  /// Waits for its end after it was killed: it must not hang, whatever it was touching.
  func awaitKilled() throws { try awaitEnd(128 + SIGKILL) }

  /// Waits for its end, after the board has told its watchers.
  func close() throws {
    send("end")
    try awaitEnd(0)
  }

  private func awaitEnd(_ code: Int32) throws {
    guard let seen = process.exitCode(within: Self.patience) else {
      throw HarnessFailure.silent("consumer \(process.id), which should end")
    }
    if seen != code {
      throw HarnessFailure.unexpected(
        "the end of consumer \(process.id)", expected: "exit \(code)", seen: "exit \(seen)")
    }
  }
}
