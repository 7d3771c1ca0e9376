internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A server process on a file of its own; ended and unmounted with its owner.
final class BenchServer {
  /// The device file.
  let path: String
  /// Time from starting the program to its ready line.
  let nanosecondsToReady: UInt64
  private let place: TemporaryPlace
  private var process: ChildProcess

  /// Starts `PROGRAM [serve] PATH [OPTIONS]` and waits for `ready PATH`.
  init(_ program: String, _ words: [String] = [], options: [String] = []) throws(BenchFailure) {
    do {
      place = try TemporaryPlace("xive-bench")
      path = place.path + "/device"
      _ = try OwnedDescriptor(opening: path, [.readWrite, .create])
      let start = MonotonicClock.nanoseconds
      process = try ChildProcess(program, words + [path] + options, inOwnGroup: true)
      let line = process.line(within: 20_000)
      nanosecondsToReady = MonotonicClock.nanoseconds - start
      // The temporary directory's name may hold a link, which a server may have resolved.
      if line?.hasPrefix("ready ") == true { return }
    } catch { throw .system(program, error) }
    throw .notReady(program)
  }

  /// Starts this very program.
  static func xive(sources: Int) throws(BenchFailure) -> BenchServer {
    let own: String
    do { own = try MountTable.realPath("/proc/self/exe") } catch { throw .system("xive", error) }
    return try BenchServer(
      own, ["serve"], options: ["--sources", "\(sources)", "--create", "0-\(sources - 1)"])
  }

  deinit {
    process.signal(SIGTERM)
    if process.exitCode(within: 5_000) == nil {
      process.signal(SIGKILL)
      _ = process.exitCode(within: 1_000)
    }
    while MountTable.fileSystemType(at: path) != nil {
      guard (try? MountTable.unmountLazily(path)) != nil else { break }
    }
  }

  /// Bytes of memory that nobody shares with the server.
  var privateByteCount: Int {
    TextFile.contents(of: "/proc/\(process.id)/smaps_rollup").split(separator: "\n")
      .filter { $0.hasPrefix("Private_") }
      .compactMap { $0.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
      .reduce(0) { $0 + $1 * 1_024 }
  }
}
