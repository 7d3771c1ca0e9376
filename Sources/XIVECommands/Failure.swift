internal import ArgumentParser
internal import DeviceClient
internal import DeviceFile
internal import Glibc
internal import SystemPackage
internal import XIVEClient
internal import XIVETrace

/// The exit codes beyond 0 and those of wrong usage.
enum Exit {
  /// The operation failed.
  static let failed = ExitCode(1)
  /// No `/dev/fuse`, no permission, or no server: BSD's `EX_UNAVAILABLE`.
  static let unavailable = ExitCode(69)
}

/// Writes one line to standard error.
func printError(_ line: String) { writeError(line + "\n") }

/// Writes text to standard error as it is.
func writeError(_ text: String) {
  let bytes = Array(text.utf8)
  _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}

/// Runs a part of a command, and turns what it throws into one line and an exit code.
func reporting<Value: ~Copyable>(_ body: () throws -> Value) throws -> Value {
  do {
    return try body()
  } catch let error as DeviceFileError {
    printError("xive: \(error)")
    throw Exit.unavailable
  } catch let error as XIVEClientError {
    printError("xive: \(error)")
    throw error.isUnavailable ? Exit.unavailable : Exit.failed
  } catch let error as Errno {
    printError("xive: the system refuses what a server needs: \(error)")
    throw Exit.unavailable
  } catch let error as TraceFileError {
    printError("xive: \(error)")
    throw Exit.failed
  } catch let error as StreamFailure {
    printError("xive: \(error.line)")
    throw error.exitCode
  } catch let error as BenchFailure {
    printError("xive: \(error)")
    throw error.exitCode
  }
}

extension XIVEClientError {
  /// Whether there is no server to talk to, rather than a server that refused.
  fileprivate var isUnavailable: Bool {
    switch self {
    case .device(.open), .device(.notAFile), .notXIVE: true
    default: false
    }
  }
}

/// Whether somebody watches standard error.
var errorsAreWatched: Bool { isatty(2) == 1 }

/// Makes what has been printed visible at once: others wait for our lines.
func flushOutput() { fflush(nil) }
