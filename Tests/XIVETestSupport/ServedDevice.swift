internal import FoundationEssentials
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What went wrong in the test's own machinery.
public struct SupportFailure: Error, CustomStringConvertible {
  /// What, with the object in it.
  public let description: String
  /// Creates a failure.
  public init(_ description: String) { self.description = description }
}

/// Programs that are built beside the tests.
public enum Built {
  /// The path of a program that the package builds.
  /// - Parameter name: the target's name.
  /// - Returns: an absolute path.
  public static func path(_ name: String) -> String { directory + "/" + name }

  /// The directory of the build's products.
  public static var directory: String {
    let own = (try? MountTable.realPath("/proc/self/exe")) ?? ""
    return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
  }

  /// The top of the source tree.
  public static var sourceRoot: String {
    #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
  }
}

/// A directory of its own, gone with its owner.
public struct TemporaryDirectory: ~Copyable {
  private let place: TemporaryPlace

  /// An absolute path without spaces.
  public var path: String { place.path }

  /// Creates an empty directory.
  /// - Throws: ``SupportFailure``.
  public init() throws {
    do { place = try TemporaryPlace("xive-test") } catch {
      throw SupportFailure("no temporary directory: \(error)")
    }
  }
}

/// A server process (`xive serve` unless told otherwise) on a file of its own.
///
/// Ends with its owner: by SIGTERM, else by SIGKILL, and no mount is left behind.
public struct ServedDevice: ~Copyable {
  /// The device file.
  public let path: String
  private let directory: TemporaryDirectory
  private var server: ChildProcess
  private var hasEnded = false

  /// The usual server; it does not outlive a test run that crashes.
  public static var xive: [String] { [Built.path("xive"), "serve", "--exit-with-parent"] }

  /// Starts a server and waits until the file can be used.
  /// - Parameters:
  ///   - options: options of `serve`.
  ///   - program: the server's program and its words before the path.
  /// - Throws: ``SupportFailure`` when it is not ready in 20 seconds.
  public init(_ options: [String] = [], program: [String] = Self.xive) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/device"
    let server = try Self.start(program, path, options, errors: directory.path + "/errors")
    self.directory = directory
    self.path = path
    self.server = server
  }

  private static func start(
    _ program: [String], _ path: String, _ options: [String], errors: String
  ) throws -> ChildProcess {
    let arguments = Array(program.dropFirst()) + [path] + options
    var server = try ChildProcess(program[0], arguments, errors: errors)
    if server.line(within: 120_000) == "ready \(path)" { return server }
    let words = program.joined(separator: " ")
    end(server.id, path)
    removeMount(path)
    let reason = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
    throw SupportFailure("\(words) \(path): did not become ready: \(reason)")
  }

  deinit {
    if !hasEnded { Self.end(server.id, path) }
    Self.removeMount(path)
  }

  /// Starts a server on the same file again, when the one before has ended.
  /// - Parameter options: options of `serve`.
  /// - Throws: ``SupportFailure`` when it is not ready in 20 seconds.
  public mutating func restart(_ options: [String] = []) throws {
    guard hasEnded else { throw SupportFailure("\(path): its server is still there") }
    server = try Self.start(
      [Built.path("xive"), "serve"], path, options, errors: directory.path + "/errors")
    hasEnded = false
  }

  /// What the servers have written to standard error.
  public var errors: String {
    (try? String(contentsOfFile: directory.path + "/errors", encoding: .utf8)) ?? ""
  }

  /// Whether anything is mounted on the file.
  public var isMounted: Bool { MountTable.fileSystemType(at: path) != nil }

  /// The server's process id.
  public var processID: Int32 { server.id }

  /// Sends the server a signal.
  /// - Parameter number: the signal.
  public func signal(_ number: Int32) { server.signal(number) }

  /// Waits for the server's end.
  /// - Parameter milliseconds: how long.
  /// - Returns: the exit code, 128 plus a signal, or nil after the deadline.
  public mutating func exitCode(within milliseconds: Int = 10_000) -> Int32? {
    let code = server.exitCode(within: milliseconds)
    if code != nil { hasEnded = true }
    return code
  }

  /// Ends the server in good order.
  /// - Returns: its exit code, or nil when it does not end.
  public mutating func stop() -> Int32? {
    signal(SIGTERM)
    return exitCode()
  }

  /// Asks a server to end and gives it time to unmount; what is left of it is the child's own owner's to end.
  private static func end(_ process: Int32, _ path: String) {
    kill(process, SIGTERM)
    let deadline = MonotonicClock.nanoseconds + 5_000_000_000
    while MountTable.fileSystemType(at: path) != nil, MonotonicClock.nanoseconds < deadline {
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    if MountTable.fileSystemType(at: path) != nil { kill(process, SIGKILL) }
  }

  /// Takes a mount off that a server has left: it would keep the directory from being removed.
  private static func removeMount(_ path: String) {
    while MountTable.fileSystemType(at: path) != nil {
      guard (try? MountTable.unmountLazily(path)) != nil else { return }
    }
  }
}
