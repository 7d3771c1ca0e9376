internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage
public import XIVEModel

/// The page faults of a running process on a device file, as the kernel sees them, live.
///
/// What the server of the device cannot know: the exact address, the instruction, write or read, and faults that never
/// reach it. The process runs on as before; each of its page faults costs about a microsecond more, also those
/// on other memory.
///
/// Two threads: one empties the kernel's rings every 10 ms and does nothing that could wait for the process; the
/// other one finds out what was touched and by which instruction, for which it reads the process's mappings.
///
/// Thread rule: belongs to one thread, which may be any.
public final class KernelFaults {
  private let stream: FaultStream
  private let threads = ThreadGroup()
  private let process: TracedProcess
  private let limits: [KernelTracingLimit]
  private var isStuck = false

  /// Faults, and up to which time nothing is missing.
  public struct Batch: Sendable {
    /// Faults on the device of which nothing more will be told, ascending in time.
    public var faults: [KernelFault] = []
    /// Every fault that began before is in this batch or in one before it; nanoseconds of `CLOCK_MONOTONIC`.
    public var completeUntil: UInt64 = 0
  }

  /// How long beginning and end wait for a process that does not let its mappings be read, in milliseconds.
  private static let patience: CInt = 2_000

  /// Starts. Waits at most 2 s, for a process that does not let its mappings be read.
  /// - Parameters:
  ///   - processID: a process that uses the device, as this process sees it; all its threads, now and later, but no
  ///     process that it starts.
  ///   - device: the device file, as ``FileIdentity/init(ofPath:)`` finds it.
  ///   - map: its layout.
  /// - Throws: ``KernelTracingError``, of which the user is told in one line.
  public convenience init(ofProcess processID: Int32, device: FileIdentity, map: DeviceMap)
    throws(KernelTracingError)
  {
    let sources = FaultSource.all { TextFile.contents(of: $0) }
    try self.init(ofProcess: processID, device: device, map: map, sources)
  }

  /// Starts with the first of some sources that is permitted.
  init(ofProcess processID: Int32, device: FileIdentity, map: DeviceMap, _ sources: [FaultSource])
    throws(KernelTracingError)
  {
    let process = TracedProcess(id: processID)
    // One that fails later for want of descriptors says so.
    try? DescriptorLimit.raise()
    let paranoid = Self.paranoid
    do {
      let (sampler, source) = try FaultSource.firstPermitted(sources) {
        (source) throws(Errno) in try FaultSampler(process, source)
      }
      limits = source.limits(paranoid: paranoid)
      stream = try FaultStream(sampler, process, device: device, map: map)
      self.process = process
      try stream.start(on: threads)
      // What is moved later would not be found where it was.
      stream.waitForLook(milliseconds: Self.patience)
    } catch {
      throw KernelTracingError(error, process: processID, Self.facts(process, paranoid))
    }
  }

  deinit {
    stream.stop()
    threads.detach()
  }

  /// Takes what has been found since the last time; never waits.
  public func take() -> Batch { stream.take() }

  /// Ends, and takes what is left. Waits at most 2 s.
  public func stop() -> Batch {
    stream.stop()
    if stream.waitForEnd(milliseconds: Self.patience) {
      threads.join()
    } else {
      isStuck = true
      threads.detach()
    }
    return stream.take()
  }

  /// The names of instructions by their addresses, of all faults that were taken.
  public var symbols: [UInt64: String] { stream.symbols }

  /// What is missing, for one line each; more may come until ``stop()``.
  public var missing: [KernelTracingLimit] {
    let lost = stream.lost
    return limits + (lost > 0 ? [.lost(lost)] : []) + (isStuck ? [.stuck(process.id)] : [])
  }

  private static var paranoid: Int {
    let text = TextFile.contents(of: "/proc/sys/kernel/perf_event_paranoid")
    return text.split(separator: "\n").first.flatMap { Int($0) } ?? 2
  }

  private static func facts(_ process: TracedProcess, _ paranoid: Int) -> KernelTracingError.Facts {
    KernelTracingError.Facts(
      paranoid: paranoid, owner: process.userID, user: geteuid(),
      descriptors: process.threads.count * OnlineProcessors.numbers.count
        * FaultSource.software.requests.count)
  }
}

extension FaultSource {
  /// What it does not tell.
  func limits(paranoid: Int) -> [KernelTracingLimit] {
    switch self {
    case .tracepoints: []
    case .software: [.noTracepoints]
    case .softwareInProcess: [.noTracepoints, .inProcessOnly(paranoid: paranoid)]
    }
  }
}

extension FileIdentity {
  /// Finds the file at a path; nil when there is none.
  public init?(ofPath path: String) {
    guard let status = try? FileStatus(ofPath: path) else { return nil }
    self.init(major: status.deviceMajor, minor: status.deviceMinor, inode: status.inode)
  }
}
