internal import CXIVE
internal import TraceRecords
internal import XIVEModel

/// A trace as steps to perform again, in the order in which they took effect.
public struct ReplayPlan: Sendable {
  /// The steps.
  public private(set) var steps: [ReplayStep] = []
  /// How many records cannot be performed again, and are not compared.
  public private(set) var obstacles: [ReplayObstacle: Int] = [:]
  /// Whether the trace begins later than the device: what was before is known in part.
  public private(set) var beginsLate = false

  private let map: DeviceMap
  private var races = ReplayRaces([])
  /// Pages that were filled while what they show changed: whether such a page stayed depended on the moment.
  private var racedPages: Set<UInt64> = []

  /// Plans a trace.
  /// - Parameter trace: what was recorded.
  public init(_ trace: Trace) {
    map = trace.device.map
    beginsLate = (trace.records.first { $0.kind != .kernelFault }?.sequence ?? 0) > 0
    var groups = ReplayGroups()
    for record in trace.records { groups.take(record) }
    // Where its first effect was recorded, a request took place: others that came in between saw it.
    let finished = groups.finish()
    races = ReplayRaces(finished)
    for group in finished { add(group) }
    note(.cause, groups.orphanCount)
  }

  private mutating func add(_ group: ReplayGroups.Group) {
    let request = group.request
    if request.cause == .unknown { beginsLate = true }
    switch action(request, group) {
    case .success(let action): append(action, group)
    case .failure(let obstacle):
      note(obstacle.reason, request.kind == .gap ? Int(clamping: request.value) : 1)
    }
  }

  private mutating func note(_ obstacle: ReplayObstacle, _ count: Int) {
    if count > 0 { obstacles[obstacle, default: 0].addSaturating(count) }
  }

  private mutating func append(_ action: ReplayStep.Action, _ group: ReplayGroups.Group) {
    if let merged = steps.last.flatMap({ Self.merged($0, action, group) }) {
      steps[steps.count - 1] = merged
      note(.range, 1)
    } else {
      steps.append(compared(ReplayStep(action: action, recorded: group.records), group.request))
    }
  }

  /// Says what of a step can be compared.
  private mutating func compared(_ step: ReplayStep, _ request: TraceRecord) -> ReplayStep {
    guard let offset = request.offset, request.kind != .attribute else { return step }
    var step = step
    let page = offset / Self.systemPageByteCount
    let isAfterRace = request.kind == .fill && racedPages.contains(page)
    // What was refused has changed nothing: the next fill still depends on what the race has left.
    if isAfterRace, request.result == .ok { racedPages.remove(page) }
    let isRaced = races.contain(request)
    if isRaced { racedPages.insert(page) }
    step.hasCause = request.cause != .unknown
    let isRange = request.kind == .fill && request.value > Self.systemPageByteCount
    step.isCompared = !isRaced && !isAfterRace && !isRange
    if !step.isCompared { note(isRange ? .range : .race, 1) }
    return step
  }

  /// One touch where the kernel asks for a range in several requests, and for the touched page alone when it did not get
  /// the range.
  private static func merged(
    _ step: ReplayStep, _ action: ReplayStep.Action, _ group: ReplayGroups.Group
  ) -> ReplayStep? {
    guard case .touch(let first, var touch) = step.action, touch.isHuge,
      let last = step.recorded.last,
      case .touch(let offset, let next) = action, case let record = group.request,
      let start = last.offset, record.threadID == last.threadID,
      start / hugePageByteCount == offset / hugePageByteCount
    else { return nil }
    touch.isReclaimed = touch.isReclaimed || next.isReclaimed
    var merged = step
    merged.action = .touch(next.isHuge ? first : offset, touch)
    merged.recorded += group.records
    return merged
  }

  private static let systemPageByteCount: UInt64 = 4_096
  private static let hugePageByteCount: UInt64 = 2 << 20

  private struct Obstacle: Error {
    let reason: ReplayObstacle
    init(_ reason: ReplayObstacle) { self.reason = reason }
  }

  private func action(_ record: TraceRecord, _ group: ReplayGroups.Group)
    -> Result<ReplayStep.Action, Obstacle>
  {
    switch record.kind {
    case .fill, .load, .store, .writeBack: access(record)
    case .attribute: request(record, group)
    case .map, .unmap, .plug, .unplug: hotplug(record, group).map(Result.success) ?? unknown
    case .gap: .failure(Obstacle(.gap))
    default: unknown
    }
  }

  private var unknown: Result<ReplayStep.Action, Obstacle> { .failure(Obstacle(.unknown)) }

  // MARK: - Pages

  private func access(_ record: TraceRecord) -> Result<ReplayStep.Action, Obstacle> {
    guard let offset = record.offset else { return unknown }
    if case .connectedTIMA = map.target(at: offset) { return .failure(Obstacle(.vcpu)) }
    switch record.kind {
    case .load: return .success(.load(offset, byteCount: record.accessByteCount))
    case .store: return .success(.store(offset, record.value, byteCount: record.accessByteCount))
    case .writeBack:
      let isUnchanged = record.result == .absent(.unchanged)
      return .success(isUnchanged ? .dirty(offset) : .storeMapped(offset, record.value))
    default:
      let touch = ReplayTouch(
        isReclaimed: record.cause == .reclaim, isHuge: record.value > Self.systemPageByteCount)
      return .success(.touch(offset, touch))
    }
  }

  // MARK: - Requests

  private func request(_ record: TraceRecord, _ group: ReplayGroups.Group)
    -> Result<ReplayStep.Action, Obstacle>
  {
    guard record.half != UInt8(XIVE_TRACE_REQUEST) else { return other(record) }
    guard let attribute = record.offset else { return unknown }
    if record.half == UInt8(XIVE_TRACE_GET) { return get(record, attribute) }
    if record.half == UInt8(XIVE_TRACE_HAS) {
      return .success(.has(group: record.generation, attribute: attribute))
    }
    if let action = hotplug(record, group) { return .success(action) }
    guard Self.shortGroups.contains(record.generation) else { return .failure(Obstacle(.payload)) }
    return .success(.set(group: record.generation, attribute: attribute, record.value))
  }

  /// Groups whose payload a record holds. Source: `xive.h`, the groups.
  private static let shortGroups: Set<UInt32> = [
    UInt32(KVM_DEV_XIVE_GRP_CTRL), UInt32(KVM_DEV_XIVE_GRP_SOURCE),
    UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG), UInt32(KVM_DEV_XIVE_GRP_SOURCE_SYNC),
    XIVE_GROUP_HWIRQ, XIVE_GROUP_ADDRESS, XIVE_GROUP_MACHINE,
  ]

  private func get(_ record: TraceRecord, _ attribute: UInt64)
    -> Result<ReplayStep.Action, Obstacle>
  {
    // Its query is longer: what a message leads to depends on the data as well.
    if record.generation == XIVE_GROUP_MSI { return .failure(Obstacle(.payload)) }
    return .success(.get(group: record.generation, attribute: attribute))
  }

  /// Requests other than attributes, by Linux's `_IOC` type and number. Source: Linux `include/uapi/linux/kvm.h`,
  /// `KVM_IRQ_LINE`, `KVM_IRQ_LINE_STATUS`; `KVM_ENABLE_CAP`, `KVM_SIGNAL_MSI`; `KVM_IRQFD`, `KVM_GET_ONE_REG`,
  /// `KVM_SET_ONE_REG`.
  private func other(_ record: TraceRecord) -> Result<ReplayStep.Action, Obstacle> {
    switch record.generation & 0xffff {
    case 0xae61, 0xae67: .success(.request(record.generation, record.value))
    case 0xaea3, 0xaea5: .failure(Obstacle(.payload))
    case 0xae76, 0xaeab, 0xaeac: .failure(Obstacle(.outside))
    default: unknown
    }
  }

  // MARK: - Hot-plug

  /// What a request did whose payload is longer than its record, by what followed from it.
  private func hotplug(_ request: TraceRecord, _ group: ReplayGroups.Group) -> ReplayStep.Action? {
    for record in group.records {
      guard record.result == .ok, let hardware = record.hardware,
        let phb = PHBIndex(rawValue: hardware.phb)
      else { continue }
      switch record.kind {
      case .plug: return .addPHB(phb, shape(record.value))
      case .unplug: return .removePHB(phb)
      case .map, .unmap:
        guard let run = run(record, phb, hardware.irq) else { continue }
        return record.kind == .map
          ? .map(run, prefault: group.prefault != nil)
          : .unmap(run, prefault: group.prefault != nil)
      default: continue
      }
    }
    return nil
  }

  private func run(_ record: TraceRecord, _ phb: PHBIndex, _ irq: UInt16) -> PassthroughRun? {
    guard let first = record.number, let count = UInt32(exactly: record.value) else { return nil }
    return PassthroughRun(
      LISN(rawValue: first), to: phb, HardwareIRQ(rawValue: irq), count: count)
  }

  private func shape(_ value: UInt64) -> PHBShape {
    PHBShape(
      msiCount: UInt32(truncatingIfNeeded: value),
      lsiCount: UInt32(truncatingIfNeeded: value >> 32) & 0x7fff_ffff,
      supportsStoreEOI: value >> 63 == 1)
  }
}
