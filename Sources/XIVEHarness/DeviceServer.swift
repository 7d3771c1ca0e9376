internal import Glibc
internal import SystemCalls
internal import XIVEModel

/// What a served device is made of.
struct ServedShape: Hashable {
  /// Sources that it has room for.
  var sourceCount: UInt32 = 256
  /// Sources that exist from the start, all messages.
  var created: ClosedRange<UInt32> = 0...63
  var words: [String] {
    [
      "--sources", "\(sourceCount)", "--create", "\(created.lowerBound)-\(created.upperBound)",
    ]
  }
}

/// A server process on a file of its own: this very program.
final class DeviceServer {
  /// The device file.
  let path: String
  private let words: [String]
  private let errors: String
  private let control: RunControl
  private var process: ChildProcess

  /// Starts a server and waits until its file can be used.
  init(_ stage: Stage, _ shape: ServedShape, number: Int) throws {
    path = "\(stage.place.path)/device\(number)"
    errors = "\(stage.place.path)/errors\(number)"
    control = stage.control
    // Records all the time rather than by a reader of ours, who would be in the scenario's way; few of them unless all are
    // wanted, for a server must not seem to grow.
    let records = stage.options.traceDirectory == nil ? 4_096 : 1 << 20
    var words = ["serve", "--exit-with-parent", path, "--trace", "--trace-records", "\(records)"]
    words += shape.words
    if let sabotage = stage.options.sabotage { words += ["--sabotage", sabotage.rawValue] }
    self.words = words
    process = try Self.start(words, path, errors: errors)
    control.mounted(path)
  }

  private static func start(_ words: [String], _ path: String, errors: String) throws
    -> ChildProcess
  {
    var process = try ChildProcess(Program.own, words, inOwnGroup: true, errors: errors)
    if process.line(within: 20_000)?.hasPrefix("ready ") == true { return process }
    let reason = TextFile.contents(of: errors).split(separator: "\n").last ?? "it did not get ready"
    throw HarnessFailure.system("xive \(words.joined(separator: " "))", String(reason))
  }

  deinit {
    process.signal(SIGTERM)
    if process.exitCode(within: 5_000) == nil {
      try? MountTable.abortConnection(path)
      process.signal(SIGKILL)
      _ = process.exitCode(within: 1_000)
    }
    while MountTable.fileSystemType(at: path) != nil {
      guard (try? MountTable.unmountLazily(path)) != nil else { break }
    }
    control.unmounted(path)
  }

  /// What the process holds now.
  var footprint: Footprint? { Footprint(of: process.id) }

  /// What it has written to standard error.
  var errorText: String { TextFile.contents(of: errors) }

  /// Its process id.
  var processID: Int32 { process.id }

  /// Kills it and does not wait.
  func kill() { process.signal(SIGKILL) }

  /// Waits for its end after it was killed.
  func awaitKilled() throws { try awaitEnd(128 + SIGKILL, "the killed server") }

  /// Ends it in good order.
  func stop() throws {
    process.signal(SIGTERM)
    try awaitEnd(0, "the server that was told to end")
  }

  private func awaitEnd(_ code: Int32, _ what: String) throws {
    guard let seen = process.exitCode(within: 10_000) else { throw HarnessFailure.silent(what) }
    if seen != code {
      throw HarnessFailure.unexpected(what, expected: "exit \(code)", seen: "exit \(seen)")
    }
  }

  /// Starts a server on the same file again, after the one before has ended.
  func restart() throws { process = try Self.start(words, path, errors: errors) }
}
