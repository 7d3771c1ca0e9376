internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// A copy of this process with all its mappings (`fork`), which ends with the thread that made it.
public struct ForkedCopy: Sendable {
  /// Its process id.
  public let id: Int32

  /// Makes the copy.
  /// - Parameter body: what the copy does, with this thread alone; it must not allocate. Its exit code.
  /// - Throws: the error of `fork`.
  public init(_ body: () -> Int32) throws(Errno) {
    let child = try valueOrErrno(csystem_fork())
    if child == 0 { csystem_exit_copy(body()) }
    id = child
  }

  /// Waits for its end; to be called once.
  /// - Returns: the exit code, or 128 plus the signal that ended it.
  public func exitCode() -> Int32 {
    var status: CInt = 0
    while unsafe waitpid(id, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : 128 + signal
  }
}
