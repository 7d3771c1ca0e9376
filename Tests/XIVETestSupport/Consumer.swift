internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A consumer process of a device file, told what to do line by line (see `TestConsumer --help`).
///
/// The tests never touch a device file themselves: a mistake of the server could hang them for ever.
public struct Consumer: ~Copyable {
  private var process: ChildProcess

  /// Starts a consumer.
  /// - Throws: the error of starting it.
  public init() throws { process = try ChildProcess(Self.program, []) }

  /// Starts a consumer and opens a device file as descriptor 0, read-write and direct.
  /// - Parameters:
  ///   - path: the device file.
  ///   - flags: how it is opened.
  /// - Throws: ``SupportFailure`` when that fails.
  public init(opening path: String, _ flags: String = "rw,direct") throws {
    var process = try ChildProcess(Self.program, [])
    process.send("open 0 \(path) \(flags)")
    guard let answer = process.line(within: 120_000), answer == "ok" else {
      throw SupportFailure("\(path) could not be opened \(flags)")
    }
    self.process = process
  }

  /// The program; `XIVE_TEST_CONSUMER` names one that was built without the sanitizer that the server has,
  /// for a thread sanitizer's runtime does not let a process survive its `SIGBUS`.
  private static var program: String {
    Requirement.environment("XIVE_TEST_CONSUMER") ?? Built.path("TestConsumer")
  }

  /// The consumer's process id.
  public var processID: Int32 { process.id }

  /// Sends a command and reads its answer.
  /// - Parameters:
  ///   - command: one line.
  ///   - milliseconds: how long the answer may take.
  /// - Returns: the answer.
  /// - Throws: ``SupportFailure`` when there is none: the consumer hangs or has died.
  public mutating func ask(_ command: String, within milliseconds: Int = 120_000) throws -> String {
    send(command)
    return try answer(within: milliseconds)
  }

  /// Sends a command without waiting for its answer.
  /// - Parameter command: one line.
  public func send(_ command: String) { process.send(command) }

  /// Reads the answer to a command that was sent.
  /// - Parameter milliseconds: how long it may take.
  /// - Returns: the answer.
  /// - Throws: ``SupportFailure`` when there is none.
  public mutating func answer(within milliseconds: Int = 120_000) throws -> String {
    guard let answer = process.line(within: milliseconds) else {
      throw SupportFailure("consumer \(process.id) gave no answer in \(milliseconds) ms")
    }
    return answer
  }

  /// Sends a command that must answer `ok`.
  /// - Parameter command: one line.
  /// - Returns: what stands behind `ok`.
  /// - Throws: ``SupportFailure`` with the answer when it is something else.
  @discardableResult
  public mutating func expect(_ command: String) throws -> String {
    let answer = try ask(command)
    guard answer == "ok" || answer.hasPrefix("ok ") else {
      throw SupportFailure("'\(command)' was answered '\(answer)'")
    }
    return String(answer.dropFirst(3))
  }

  /// Performs an exact load of 8 bytes on descriptor 0.
  /// - Parameter offset: device offset.
  /// - Returns: the big-endian register.
  /// - Throws: ``SupportFailure`` when it is refused.
  public mutating func load(at offset: UInt64) throws -> UInt64 {
    let hex = try expect("pread 0 \(offset) 8")
    guard let value = UInt64(hex, radix: 16) else { throw SupportFailure("not 8 bytes: \(hex)") }
    return value
  }

  /// Performs an exact store of 8 bytes on descriptor 0.
  /// - Parameters:
  ///   - value: the big-endian register.
  ///   - offset: device offset.
  /// - Throws: ``SupportFailure`` when it is refused.
  public mutating func store(_ value: UInt64 = 0, at offset: UInt64) throws {
    let digits = String(value, radix: 16)
    let hex = String(repeating: "0", count: 16 - digits.count) + digits
    let answer = try expect("pwrite 0 \(offset) \(hex)")
    guard answer == "count=8" else { throw SupportFailure("stored: \(answer)") }
  }

  /// Sends the consumer a signal.
  /// - Parameter number: the signal.
  public func signal(_ number: Int32) { process.signal(number) }

  /// Waits for the consumer's end.
  /// - Parameter milliseconds: how long.
  /// - Returns: the exit code, 128 plus a signal, or nil after the deadline.
  public mutating func exitCode(within milliseconds: Int = 60_000) -> Int32? {
    process.exitCode(within: milliseconds)
  }
}
