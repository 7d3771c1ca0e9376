internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// What a thread is sampled for: one kind of event, each time that it happens.
///
/// Source: perf_event_open(2).
public struct PerfRequest: Hashable, Sendable {
  /// What happens.
  public enum Event: Hashable, Sendable {
    /// Any page fault, when it begins (`PERF_COUNT_SW_PAGE_FAULTS`).
    case fault
    /// A fault that gave a page without waiting for input, when it is over (`PERF_COUNT_SW_PAGE_FAULTS_MIN`).
    case minorFault
    /// A fault that waited for input and gave a page, when it is over (`PERF_COUNT_SW_PAGE_FAULTS_MAJ`).
    case majorFault
    /// A tracepoint, by the number in its `id` file, sampled with its own fields.
    case tracepoint(UInt64)
  }

  /// What happens.
  public let event: Event
  /// Whether what the process maps and executes comes along: for one event of each thread.
  public let tellsMappings: Bool
  /// Whether faults in the kernel's own code are left out, which needs less permission.
  public let isUserOnly: Bool

  /// Describes a request.
  public init(_ event: Event, tellsMappings: Bool = false, isUserOnly: Bool = false) {
    self.event = event
    self.tellsMappings = tellsMappings
    self.isUserOnly = isUserOnly
  }

  fileprivate var typeAndConfig: (type: CInt, config: UInt64) {
    switch event {
    case .fault: (CInt(CSYSTEM_PERF_SOFTWARE), UInt64(CSYSTEM_PERF_FAULTS))
    case .minorFault: (CInt(CSYSTEM_PERF_SOFTWARE), UInt64(CSYSTEM_PERF_MINOR))
    case .majorFault: (CInt(CSYSTEM_PERF_SOFTWARE), UInt64(CSYSTEM_PERF_MAJOR))
    case .tracepoint(let number): (CInt(CSYSTEM_PERF_TRACEPOINT), number)
    }
  }

  fileprivate var flags: CInt {
    var flags: CInt = 0
    if case .tracepoint = event { flags |= CInt(CSYSTEM_PERF_RAW) }
    if tellsMappings { flags |= CInt(CSYSTEM_PERF_MAPPINGS) }
    if isUserOnly { flags |= CInt(CSYSTEM_PERF_USER_ONLY) }
    return flags
  }
}

/// Samples of one thread, and of those that it starts, on one processor; they end with their owner.
///
/// Times are those of `CLOCK_MONOTONIC`. The kernel maps no ring of an event that is inherited by new threads
/// unless it is of one processor: hence one event for each thread and processor, and one ring for each processor.
/// Source: Linux `kernel/events/core.c`, `perf_mmap`, `perf_event_set_output`.
public final class PerfEvent: Sendable {
  fileprivate let descriptor: OwnedDescriptor
  /// The number that its samples carry.
  public let identity: UInt64

  /// Starts sampling.
  /// - Parameters:
  ///   - request: what for.
  ///   - threadID: a thread, as this process sees it.
  ///   - processor: the number of a processor that is on line.
  /// - Throws: the error of `perf_event_open`: `EACCES` or `EPERM` without permission, `ESRCH` when there is no
  ///   such thread, `ENOSYS` or `EINVAL` from a kernel that does not have it, `ENODEV` for a processor that is not
  ///   on line.
  public init(_ request: PerfRequest, threadID: Int32, processor: Int32) throws(Errno) {
    let (type, config) = request.typeAndConfig
    let opened = OwnedDescriptor(
      rawValue: try valueOrErrno(
        csystem_perf_open(UInt32(type), config, request.flags, threadID, processor)))
    var identity: UInt64 = 0
    try valueOrErrno(unsafe csystem_perf_identify(opened.rawValue, &identity))
    descriptor = opened
    self.identity = identity
  }

  /// Has the samples go to another event's ring.
  /// - Parameter owner: an event of the same processor.
  /// - Throws: the error of the request.
  public func redirect(to owner: PerfEvent) throws(Errno) {
    try valueOrErrno(csystem_perf_redirect(descriptor.rawValue, owner.descriptor.rawValue))
  }
}

/// The memory into which the kernel writes samples.
///
/// Thread rule: one thread at a time takes from it.
public final class PerfRing: Sendable {
  private let region: MappedRegion
  private let event: PerfEvent
  /// Bytes of samples that it holds: what perf(1) takes, and what the kernel allows everybody to lock.
  public static let byteCount = 512 << 10

  /// Maps an event's ring.
  /// - Parameter event: the event, which lives as long as the ring.
  /// - Throws: the error of `mmap`; `EPERM` when more memory is locked than `kernel.perf_event_mlock_kb` allows.
  public init(_ event: PerfEvent) throws(Errno) {
    self.event = event
    region = try MappedRegion(
      event.descriptor, offset: 0, byteCount: Int(getpagesize()) + Self.byteCount, isWritable: true)
  }

  /// Takes what the kernel has written, whole records in its own form, and makes room for more.
  public func take() -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: Self.byteCount) { bytes, count in
      count = unsafe csystem_perf_take(region.address, bytes.baseAddress, bytes.count)
    }
  }
}
