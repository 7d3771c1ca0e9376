internal import CXIVE
internal import DeviceClient
internal import SystemCalls
internal import SystemPackage
internal import TraceRecords
internal import XIVEClient
internal import XIVEModel

/// Performs the steps of a trace on a device of their own, one after the other, and compares what it records.
///
/// Thread rule: one thread. Never in a process that serves the device.
public struct Replayer: ~Copyable {
  private let device: XIVEDescriptor
  private let file: OwnedDescriptor
  private var stream: TraceStream<DeviceTraceSource>
  private var spans: [ClosedRange<UInt64>] = []
  private var made: [[TraceRecord]] = []

  /// Opens a fresh device.
  /// - Parameter path: where it is served; `xive serve` with `--tick 0`, so that write-backs come when they are asked for.
  /// - Throws: ``ReplayError``.
  public init(_ path: String) throws(ReplayError) {
    let device = try Self.open(path)
    let file = try Self.duplicate(device.device)
    stream = try Self.stream(path)
    self.device = device
    self.file = file
  }

  private static func open(_ path: String) throws(ReplayError) -> XIVEDescriptor {
    do { return try XIVEDescriptor(path) } catch { throw .client(error) }
  }

  private static func duplicate(_ device: borrowing DeviceDescriptor) throws(ReplayError)
    -> OwnedDescriptor
  {
    do { return try OwnedDescriptor(duplicating: device.rawValue) } catch { throw .system(error) }
  }

  private static func stream(_ path: String) throws(ReplayError) -> TraceStream<DeviceTraceSource> {
    let source: DeviceTraceSource
    do { source = try DeviceTraceSource(path) } catch { throw .client(error) }
    do { return try TraceStream(source, from: .now) } catch { throw .stream(error) }
  }

  // MARK: - Steps

  /// Performs the next step. What it meets is in the records; only what says nothing of the device is thrown.
  /// - Parameter step: the step.
  /// - Throws: ``ReplayError``, such as for a server that has ended.
  public mutating func perform(_ step: ReplayStep) throws(ReplayError) {
    let start = MonotonicClock.nanoseconds
    do { try act(step.action) } catch {
      // The device's answers are what the trace tells of.
      if error.isFatal { throw error }
    }
    spans.append(start...MonotonicClock.nanoseconds)
    made.append([])
    if spans.count % 512 == 0 { try collect() }
  }

  private func act(_ action: ReplayStep.Action) throws(ReplayError) {
    switch action {
    case .touch(let offset, let touch): try self.touch(offset, touch)
    case .storeMapped(let offset, let value): try store(at: offset) { _ in value }
    case .dirty(let offset): try store(at: offset) { $0 }
    default:
      do throws(XIVEClientError) { try ask(action) } catch { throw .client(error) }
    }
  }

  private func ask(_ action: ReplayStep.Action) throws(XIVEClientError) {
    switch action {
    case .load(let offset, let count): _ = try device.load(at: offset, byteCount: count)
    case .store(let offset, let value, let count):
      try device.store(value, at: offset, byteCount: count)
    case .addPHB(let phb, let shape): try device.addPHB(phb, shape)
    case .removePHB(let phb): try device.removePHB(phb)
    case .map(let run, let prefault): try device.map(run, prefault: prefault)
    case .unmap(let run, let prefault): try device.unmap(run, prefault: prefault)
    case .set(let group, let attribute, let value):
      try control(xive_set_attr_request, [UInt64(group) << 32, attribute, value])
    case .get(let group, let attribute):
      try control(xive_get_attr_request, [UInt64(group) << 32, attribute])
    case .has(let group, let attribute):
      try control(Self.hasAttribute, [UInt64(group) << 32, attribute, 0])
    case .request(let number, let value): try control(number, [value])
    case .touch, .storeMapped, .dirty: break
    }
  }

  /// Source: Linux `include/uapi/linux/kvm.h`, `KVM_HAS_DEVICE_ATTR`.
  private static let hasAttribute: UInt32 = 0x4018_aee3

  /// Makes a request with words of payload, and zeros behind them as far as it takes more.
  private func control(_ number: UInt32, _ words: [UInt64]) throws(XIVEClientError) {
    var payload = unsafe words.withUnsafeBytes { unsafe [UInt8]($0) }
    let missing = Int(number >> 16 & 0x3fff) - payload.count
    payload += [UInt8](repeating: 0, count: max(0, missing))
    do throws(DeviceClientError) {
      try device.device.control(number, &payload)
    } catch { throw .device(error) }
  }

  // MARK: - Mappings

  private func touch(_ offset: UInt64, _ touch: ReplayTouch) throws(ReplayError) {
    let page = try map(offset)
    if touch.isReclaimed { file.dropCache(offset & ~4_095..<(offset & ~4_095) + 4_096) }
    do throws(Errno) {
      if touch.isHuge { try page.region.adviseHugePages() }
      try page.region.touch(at: page.within)
    } catch { throw .system(error) }
  }

  private func store(at offset: UInt64, _ value: (UInt64) -> UInt64) throws(ReplayError) {
    let page = try map(offset)
    let register = page.within & ~7
    do throws(Errno) {
      // A hole is an error here; a store would end this process.
      try page.region.touch(at: page.within)
      page.region.store(value(page.region.load(at: register)), at: register)
      try page.region.synchronize()
    } catch { throw .system(error) }
  }

  /// Maps the device page of an offset.
  private func map(_ offset: UInt64) throws(ReplayError) -> MappedPage {
    let size = device.map.pageByteCount
    do throws(DeviceClientError) {
      let region = try device.device.map(offset: offset & ~(size - 1), byteCount: Int(size))
      return MappedPage(region: region, within: Int(offset & (size - 1)))
    } catch { throw .client(.device(error)) }
  }

  // MARK: - What the device recorded

  /// Takes what the device has recorded so far to the steps within whose time it began.
  private mutating func collect() throws(ReplayError) {
    while true {
      let records: [TraceRecord]
      do { records = try stream.read() } catch { throw .stream(error) }
      if records.isEmpty { return }
      for record in records where record.isComparable {
        if let step = step(at: record.time) { made[step].append(record) }
      }
    }
  }

  private func step(at time: UInt64) -> Int? {
    // The last one that began before.
    var range = spans.indices
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if spans[middle].lowerBound <= time {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    let found = range.lowerBound - 1
    return spans.indices.contains(found) && spans[found].contains(time) ? found : nil
  }

  /// Ends, and compares.
  /// - Parameter plan: whose steps were performed, all or the first of them.
  /// - Returns: what came of it.
  /// - Throws: ``ReplayError``.
  public consuming func finish(_ plan: ReplayPlan) throws(ReplayError) -> ReplayReport {
    // The last records are made when the answers have gone.
    MonotonicClock.sleep(nanoseconds: 50_000_000)
    try collect()
    var report = ReplayReport(plan, performed: made.count, lost: stream.lost)
    for (step, replayed) in zip(plan.steps, made) { report.compare(step, replayed) }
    return report
  }
}
