import CXIVE
import PagedDevice
import XIVEModel

@testable import XIVEDevice

/// A record of region 0x1000 as its bytes have it.
struct StateRecord: Hashable {
  var config: UInt64 = 1 << 32
  var flags: UInt64 = 0x10

  /// A source that was never created.
  static let absent = StateRecord(config: 0, flags: 0)

  var bytes: [UInt8] { config.memoryBytes + flags.memoryBytes }
}

/// Region 0x1000, and whether the machine runs.
extension Rig {
  /// A part of the region.
  func stateBytes(
    at offset: UInt64 = 0, count: Int, by opener: Opener = reader
  ) throws(DeviceError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0x5a, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try device.load(at: xive_region_offset(XIVE_REGION_STATE) + offset, into: &raw, by: opener)
    return bytes
  }

  /// The whole region.
  func allState() throws(DeviceError) -> [UInt8] {
    try stateBytes(count: Int(device.configuration.sourceCount) * 16)
  }

  func storeState(
    _ bytes: [UInt8], at offset: UInt64 = 0, by opener: Opener = writer
  ) throws(DeviceError) {
    try store(xive_region_offset(XIVE_REGION_STATE) + offset, bytes, by: opener)
  }

  func record(_ source: UInt32) throws(DeviceError) -> StateRecord {
    let bytes = try stateBytes(at: UInt64(source) * 16, count: 16)
    return StateRecord(config: bytes.value(at: 0), flags: bytes.value(at: 8))
  }

  /// Stores records of consecutive sources.
  func store(_ records: [StateRecord], from source: UInt32) throws(DeviceError) {
    try storeState(records.flatMap(\.bytes), at: UInt64(source) * 16)
  }

  func isLatched(_ source: UInt32) throws(DeviceError) -> Bool {
    try record(source).flags & UInt64(XIVE_STATE_LATCHED) != 0
  }

  func stop() throws(DeviceError) {
    try set(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_RUNNING), UInt32(0))
  }

  func resume() throws(DeviceError) {
    try set(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_RUNNING), UInt32(1))
  }

  /// How many sources each END has by the sources' records.
  func countedSources() throws(DeviceError) -> [UInt64: Int] {
    var counts: [UInt64: Int] = [:]
    for source in 0..<device.configuration.sourceCount {
      let record = try record(source)
      if record.flags & 0x10 != 0, record.config >> 32 & 1 == 0 {
        counts[record.config & 0xffff_ffff, default: 0] += 1
      }
    }
    return counts
  }

  /// How many the device believes it to have.
  var believedSources: [UInt64: Int] {
    let counts = device.delivery.withLock { $0.sourceCounts }
    return Dictionary(
      uniqueKeysWithValues: counts.filter { $0.value != 0 }.map {
        (UInt64($0.key.rawValue), $0.value)
      })
  }
}

/// What injects events.
extension Rig {
  /// `KVM_IRQ_LINE`.
  func setLine(
    _ source: UInt32, _ level: UInt32, by opener: Opener = writer
  ) throws(DeviceError) {
    _ = try control(0x4008_ae61, source.memoryBytes + level.memoryBytes, by: opener)
  }

  /// `KVM_IRQ_LINE_STATUS`.
  func setLineStatus(_ source: UInt32, _ level: UInt32) throws(DeviceError) -> UInt32 {
    let output = try control(0xc008_ae67, source.memoryBytes + level.memoryBytes)
    return output.value(at: 0)
  }

  /// `KVM_SIGNAL_MSI`.
  func signal(
    _ address: UInt64, _ data: UInt32, from requester: UInt32, flags: UInt32 = 1,
    by opener: Opener = writer
  ) throws(DeviceError) -> Int32 {
    let words = [
      UInt32(truncatingIfNeeded: address), UInt32(address >> 32), data, flags, requester, 0, 0, 0,
    ]
    var request = ControlRequest(
      number: 0x4020_aea5, input: words.flatMap(\.memoryBytes), outputByteCount: 0, opener: opener,
      caller: FakeMemory())
    return try device.control(&request)
  }

  /// `KVM_IRQFD`; without an eventfd its number is -1.
  func irqfd(
    _ source: UInt32, _ event: FakeEvent?, resample: FakeEvent? = nil, flags: UInt32 = 0,
    by opener: Opener = writer
  ) throws(DeviceError) {
    let memory = FakeMemory()
    memory.events[3] = event
    memory.events[4] = resample
    let words = [
      event == nil ? UInt32.max : 3, source, flags | (resample == nil ? 0 : 2), 4, 0, 0, 0, 0,
    ]
    _ = try control(0x4020_ae76, words.flatMap(\.memoryBytes), by: opener, memory: memory)
  }

  /// `KVM_IRQFD` with the flag to untie.
  func untie(
    _ source: UInt32, _ event: FakeEvent?, resample: FakeEvent? = nil, by opener: Opener = writer
  ) throws(DeviceError) {
    try irqfd(source, event, resample: resample, flags: 1, by: opener)
  }

  /// Adds a route of messages by group 0x43.
  func addRoute(
    _ requester: UInt32, _ address: UInt64, _ data: UInt32, count: UInt32 = 1, to source: UInt32
  ) throws(DeviceError) {
    let value = xive_msi(
      address: address, first_data: data, count: count, first_lisn: source, zero: 0)
    try set(XIVE_GROUP_MSI, UInt64(requester), value)
  }

  var injected: xive_info_injection {
    (try? get(XIVE_GROUP_INFO, UInt64(XIVE_INFO_INJECTION), as: xive_info_injection.self))
      ?? xive_info_injection()
  }

  /// The state bits of a source, of which only some are in its record.
  func state(_ source: UInt32) -> SourceState {
    device.engine.cells.state(of: LISN(rawValue: source))
  }
}

extension Machine {
  /// All that is in a server's queue of priority 6.
  func queued(_ server: UInt32) -> [UInt32] {
    var queue = GuestQueue(memory, at: Self.queueAddress(server, 6))
    var found: [UInt32] = []
    while let entry = queue.next() { found.append(entry) }
    return found
  }

  /// A level source that is on and goes to a vCPU.
  func startLevel(_ source: UInt32, on server: UInt32 = 0, eisn: UInt32) throws {
    rig.create(source, isLSI: true)
    try start(source, on: server, eisn: eisn)
  }
}
