internal import TraceRecords
internal import XIVEModel

/// Where the faults in a picture come from, in the order in which they are stacked.
enum ReportOrigin: UInt8, Hashable, Sendable, CaseIterable {
  case firstTouch, hotplug, state, reclaim, unknown, prefault, sigbus

  /// The origin of a fill; nil for a record that is no fill, or that repeats another.
  init?(_ record: TraceRecord) {
    guard record.isTouch || record.isPrefault else { return nil }
    self = record.result == .ok ? Self(record.cause) : .sigbus
  }

  init(_ cause: TraceCause) {
    self =
      switch cause {
      case .firstTouch: .firstTouch
      case .map, .unmap, .unplug: .hotplug
      case .store, .vcpu: .state
      case .reclaim: .reclaim
      case .prefault: .prefault
      case .none, .again, .unknown: .unknown
      }
  }

  /// What a legend calls it.
  var name: String {
    switch self {
    case .firstTouch: "first touch"
    case .hotplug: "after hot-plug"
    case .state: "after store or vCPU"
    case .reclaim: "after reclaim"
    case .unknown: "cause unknown"
    case .prefault: "filled by the server"
    case .sigbus: "SIGBUS"
    }
  }
}

/// What a report counts as what.
extension TraceRecord {
  /// The most that the kernel asks for when it wants the touched page alone.
  private static let kernelPage: UInt64 = 4_096

  /// A range of which some page does not resolve: nobody gets SIGBUS yet, the kernel asks for the touched page alone.
  var isRefusedRange: Bool { kind == .fill && result != .ok && value > Self.kernelPage }

  /// A fill that nobody's touch asked for.
  var isPrefault: Bool { kind == .fill && cause == .prefault && !isRefusedRange }

  /// A page fault: a fill for a touch. The second question for one SIGBUS is none of its own.
  var isTouch: Bool {
    kind == .fill && cause != .again && cause != .prefault && !isRefusedRange
  }

  /// A load or a store that was one access of one thread.
  var isExact: Bool { kind == .load || kind == .store }

  /// What a consumer's thread did itself.
  var isConsumers: Bool { isTouch || isExact || kind == .writeBack }

  /// Nanoseconds from its beginning to its end; 0 where the fields hold something else.
  var duration: UInt64 {
    switch kind {
    case .kernelFault, .task, .gap, nil: 0
    default: UInt64(queueTime) + UInt64(serviceTime)
    }
  }

  /// Whether its time is that of something that happened.
  var isEvent: Bool {
    switch kind {
    case .task, .gap, nil: false
    default: cause != .again || kind != .fill
    }
  }

  /// The pages from the offset on that its value covers, 1 for an access.
  func pages(_ map: DeviceMap) -> ClosedRange<UInt64>? {
    guard let offset, offset < DeviceMap.fileByteCount else { return nil }
    let bytes: UInt64
    switch kind {
    case .fill, .zap, .update: bytes = max(1, min(value, DeviceMap.fileByteCount - offset))
    case .load, .store, .writeBack, .kernelFault, .guestError: bytes = 1
    default: return nil
    }
    return offset >> map.pageShift...(offset + bytes - 1) >> map.pageShift
  }

  /// The subjects that it is about, first and last; both of one class.
  func subjects(_ map: DeviceMap) -> ClosedRange<ReportSubject>? {
    switch kind {
    case .publish, .map, .unmap:
      guard let number else { return nil }
      let last = UInt64(number) + min(max(1, value) - 1, UInt64(UInt32.max - number))
      return ReportSubject(.source, number)...ReportSubject(.source, UInt32(last))
    case .notify: return number.map { .only(ReportSubject(.server, $0)) }
    case .trigger, .forward, .eoi:
      if let number { return .only(ReportSubject(.source, number)) }
      return hardware.map { .only(ReportSubject(.phb, ReportSubject.number($0.phb, $0.irq))) }
    default:
      return pages(map).flatMap { Self.subjects($0, map) }
    }
  }

  private static func subjects(_ pages: ClosedRange<UInt64>, _ map: DeviceMap)
    -> ClosedRange<ReportSubject>?
  {
    guard let first = map.target(at: pages.lowerBound << map.pageShift) else { return nil }
    let start = ReportSubject(first)
    guard let last = map.target(at: pages.upperBound << map.pageShift) else { return .only(start) }
    let end = ReportSubject(last)
    return end.sort == start.sort && end >= start ? start...end : .only(start)
  }
}

extension ClosedRange where Bound == ReportSubject {
  /// The range of one subject.
  static func only(_ subject: ReportSubject) -> Self { subject...subject }
}
