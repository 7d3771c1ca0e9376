internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// A child process with its standard input and output on pipes.
///
/// Thread rule: one thread at a time.
public struct ChildProcess: ~Copyable {
  /// The process id; the process is ours to end.
  public let id: Int32
  private let input: OwnedDescriptor
  private var output: LineReader
  private var endCode: Int32?

  /// Starts a program.
  /// - Parameters:
  ///   - path: the program.
  ///   - arguments: without the program's name.
  ///   - inOwnGroup: whether the terminal's interrupt key spares it, so that its owner ends it in good order.
  ///   - errors: a file that its standard error is appended to; otherwise it shares ours.
  /// - Throws: the error of `posix_spawn` or `pipe`.
  public init(
    _ path: String, _ arguments: [String], inOwnGroup: Bool = false, errors: String? = nil
  ) throws(Errno) {
    let toChild = try Pipe()
    let fromChild = try Pipe()
    let streams = Streams(
      input: toChild.read.rawValue, output: fromChild.write.rawValue, errors: errors)
    id = try Self.spawn(path, arguments, streams, inOwnGroup)
    input = toChild.intoWriteEnd()
    output = LineReader(fromChild.intoReadEnd())
  }

  /// Where a child's standard streams go.
  private struct Streams {
    let input: CInt
    let output: CInt
    let errors: String?
  }

  private static func spawn(
    _ path: String, _ arguments: [String], _ streams: Streams, _ inOwnGroup: Bool
  ) throws(Errno) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, streams.input, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, streams.output, 1)
    if let errors = streams.errors {
      unsafe posix_spawn_file_actions_addopen(
        &actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    }
    // The child takes signals as usual, whatever this process blocks.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    let group = inOwnGroup ? POSIX_SPAWN_SETPGROUP : 0
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | group))
    var words = unsafe ([path] + arguments).map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { unsafe words.forEach { unsafe free($0) } }
    var id = Int32()
    let error = unsafe posix_spawn(&id, path, &actions, &attributes, words, environ)
    guard error == 0 else { throw Errno(rawValue: error) }
    return id
  }

  deinit {
    guard endCode == nil else { return }
    kill(id, SIGKILL)
    // Not waited for without end: a process stuck in a fault of a dead server must not hold us too. Nor left to itself:
    // a process that has ended and that nobody has waited for is in the way of whoever waits for any.
    if Self.waitForEnd(of: id, milliseconds: 2_000) == nil { csystem_reap_later(id) }
  }

  /// Writes a line to the child's standard input; a child that has gone does not hear it.
  /// - Parameter line: without the line's end.
  public func send(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes {
      unsafe csystem_write_pipe(input.rawValue, $0.baseAddress, $0.count)
    }
  }

  /// Reads a line of the child's standard output.
  /// - Parameter milliseconds: how long to wait for it.
  /// - Returns: the line without its end, or nil after the deadline or the end of the output.
  public mutating func line(within milliseconds: Int) -> String? {
    output.line(within: milliseconds)
  }

  /// Sends a signal to the child; nobody gets it once its end has been waited for.
  /// - Parameter number: the signal.
  public func signal(_ number: CInt) {
    // The number may be another process's by then.
    if endCode == nil { kill(id, number) }
  }

  /// Waits for the child's end.
  /// - Parameter milliseconds: how long.
  /// - Returns: the exit code, 128 plus the signal that ended it, or nil after the deadline.
  public mutating func exitCode(within milliseconds: Int) -> Int32? {
    if endCode == nil { endCode = Self.waitForEnd(of: id, milliseconds: milliseconds) }
    return endCode
  }

  private static func waitForEnd(of id: Int32, milliseconds: Int) -> Int32? {
    for _ in 0...milliseconds {
      var status: CInt = 0
      if unsafe waitpid(id, &status, WNOHANG) == id {
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
      }
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    return nil
  }
}

/// Both ends of a pipe, neither of which children inherit by themselves.
private struct Pipe: ~Copyable {
  let read: OwnedDescriptor
  let write: OwnedDescriptor

  init() throws(Errno) {
    var ends: [CInt] = [0, 0]
    try valueOrErrno(unsafe csystem_pipe(&ends))
    read = OwnedDescriptor(rawValue: ends[0])
    write = OwnedDescriptor(rawValue: ends[1])
  }

  consuming func intoReadEnd() -> OwnedDescriptor { read }
  consuming func intoWriteEnd() -> OwnedDescriptor { write }
}
