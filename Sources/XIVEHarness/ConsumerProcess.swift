internal import Glibc
internal import SystemCalls

/// How a consumer process watches.
public struct ConsumerPlan: Hashable, Sendable {
  /// Watching threads; 0: as many as the options say.
  public var threads = 0
  /// Whether it maps each page by itself rather than one window.
  public var isPerPage = false
  /// What its touches are.
  public var access = ConsumerAccess.mapped
  /// Whether it stores to the pages that allow it.
  public var stores = false
  /// Whether it triggers, through trapped windows whatever its access is; trigger pages alone may be watched then.
  public var triggers = false {
    didSet { if triggers { (access, stores) = (.trapped, true) } }
  }
  /// Whether it asks for huge pages, which has the kernel fill whole ranges at one touch.
  public var wantsHugePages = false
  /// Whether its watcher is a KVM guest, and the device offset of the trigger page that its ioeventfd stands for.
  public var guestTriggers: UInt64?

  /// Creates the usual plan.
  public init() {}

  var words: [String] {
    ["--threads", "\(threads)", "--access", access.rawValue]
      + (isPerPage ? ["--per-page"] : []) + (stores ? ["--store"] : [])
      + (wantsHugePages ? ["--huge-pages"] : [])
      + (guestTriggers.map { ["--guest", "\($0)"] } ?? [])
  }
}

/// A consumer process of a served device: `xive hotplug consume` or `overmap`, told line by line what to do.
final class ConsumerProcess {
  /// The slots of its watchers on the board; empty for one that has none there.
  let slots: Range<UInt32>
  /// Signatures read by one that has no slots; known at its end.
  private(set) var reads: UInt64 = 0
  private var process: ChildProcess

  /// Milliseconds that an answer may take.
  private static let patience = 20_000

  /// Starts a consumer and waits until it is ready.
  /// - Parameters:
  ///   - program: what runs.
  ///   - words: what it is to do, behind `hotplug`.
  ///   - slots: the slots of its watchers.
  /// - Throws: the error of starting it; ``HarnessFailure/silent(_:)``.
  init(_ program: String, _ words: [String], slots: Range<UInt32> = 0..<0) throws {
    self.slots = slots
    process = try ChildProcess(program, ["hotplug"] + words, inOwnGroup: true)
    try awaitAnswer("ready")
  }

  /// Starts a consumer whose threads watch as the board says.
  convenience init(_ program: String, _ path: String, _ board: Board, _ plan: ConsumerPlan) throws {
    let slots = try board.takeSlots(plan.threads)
    try self.init(
      program, ["consume", path, board.path, "--first-slot", "\(slots.lowerBound)"] + plan.words,
      slots: slots)
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
    let answer = try answer()
    if answer != word {
      throw HarnessFailure.unexpected(
        "consumer \(process.id)", expected: "'\(word)'", seen: "'\(answer)'")
    }
  }

  private func answer() throws -> String {
    if let line = process.line(within: Self.patience) { return line }
    // Ended, most likely by the SIGBUS of a hole, or stuck.
    guard let code = process.exitCode(within: 100) else {
      throw HarnessFailure.silent("consumer \(process.id)")
    }
    throw HarnessFailure.unexpected(
      "consumer \(process.id)", expected: "an answer", seen: Self.text(code))
  }

  /// An exit code in words.
  private static func text(_ code: Int32) -> String {
    code == 128 + SIGBUS ? "its end by SIGBUS: a hole" : "its end, exit \(code)"
  }

  /// Waits for the answer to something that it must refuse.
  func awaitRefusal() throws {
    let answer = try answer()
    if answer == "done" {
      throw HarnessFailure.unexpected(
        "consumer \(process.id)", expected: "a refusal", seen: "'\(answer)'")
    }
  }

  /// Kills it and does not wait.
  func kill() { process.signal(SIGKILL) }

  /// Waits for its end after it was killed: it must not hang, whatever it was touching.
  func awaitKilled() throws { try awaitEnd(128 + SIGKILL) }

  /// Ends it, after the board has told its watchers.
  func close() throws {
    send("end")
    // Those on the board leave there what they saw; others say how many signatures they read, or what was wrong.
    if slots.isEmpty {
      let answer = process.line(within: Self.patience) ?? "no answer"
      guard let count = UInt64(answer) else {
        throw HarnessFailure.stale("consumer \(process.id): \(answer)")
      }
      reads = count
    }
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
