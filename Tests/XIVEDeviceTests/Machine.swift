import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel

@testable import XIVEDevice

/// A device with guest RAM and vCPUs, and what a VMM and a guest do with them.
struct Machine: Sendable {
  /// Where the guest's RAM begins.
  static let ram: UInt64 = 1 << 32
  /// Bytes of a queue of the kernel's.
  static let queueSize: UInt64 = 65_536

  let rig: Rig
  /// The guest's RAM: a queue's place for each server and priority.
  let memory: SharedBytes

  /// Creates a machine whose vCPUs are connected, each with a queue at priority 6, CPPR 0 as after reset.
  init(
    _ rig: Rig = Rig(sources: 8, existing: 4, servers: 4), cpus: UInt32 = 2,
    priorities: [UInt32] = [6]
  ) throws {
    self.rig = rig
    memory = SharedBytes(
      byteCount: Int(UInt64(rig.device.configuration.serverCount) * 8 * Self.queueSize))
    try rig.addMemory(0, at: Self.ram, memory)
    for server in 0..<cpus {
      try connect(server)
      for priority in priorities { try setQueue(server, priority) }
    }
  }

  // MARK: - The VMM

  /// The descriptor of a server's vCPU.
  static func opener(_ server: UInt32) -> Opener {
    Opener(id: 100 + UInt64(server), isWritable: true)
  }

  /// Connects a server's descriptor, and carries out what follows.
  func connect(_ server: UInt32) throws(DeviceError) {
    try rig.connect(Self.opener(server), to: UInt64(server))?.completion()
  }

  func disconnect(_ server: UInt32) {
    rig.device.closed(Self.opener(server))?.completion()
  }

  /// Where a server's queue lies in the guest's memory.
  static func queueAddress(_ server: UInt32, _ priority: UInt32) -> UInt64 {
    ram + UInt64(server * 8 + priority) * queueSize
  }

  func setQueue(
    _ server: UInt32, _ priority: UInt32, toggle: UInt32 = 1, index: UInt32 = 0
  ) throws(DeviceError) {
    try rig.setQueue(
      server, priority, xive_eq(at: Self.queueAddress(server, priority), toggle, index))
  }

  /// An END as group 4 would set it up, to be changed and written by group 0x51.
  static func end(_ server: UInt32, _ priority: UInt32) -> END {
    guard let level = Priority(rawValue: UInt8(priority)) else { preconditionFailure("priority") }
    return END(
      notifying: Server(rawValue: server), level, queueAddress: queueAddress(server, priority))
  }

  func setEND(_ server: UInt32, _ priority: UInt32, _ end: END) throws(DeviceError) {
    try rig.set(XIVE_GROUP_END, xive_end_index(server, priority), end.structure)
  }

  func end(_ server: UInt32, _ priority: UInt32) throws(DeviceError) -> END {
    END(try rig.get(XIVE_GROUP_END, xive_end_index(server, priority), as: xive_end.self))
  }

  func route(
    _ source: UInt32, to server: UInt32, _ priority: UInt32 = 6, eisn: UInt32,
    isMasked: Bool = false
  ) throws(DeviceError) {
    let value = xive_source_config(server, priority, eisn, isMasked ? 1 : 0)
    try rig.set(UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG), UInt64(source), value)
  }

  /// Routes a source to a vCPU that lets everything through, and switches the source on.
  func start(_ source: UInt32, on server: UInt32, _ priority: UInt32 = 6, eisn: UInt32) throws {
    try route(source, to: server, priority, eisn: eisn)
    rig.setPQ(source, .reset)
    try setCPPR(server, 0xff)
  }

  // MARK: - The guest

  func trigger(_ source: UInt32) throws(DeviceError) { try rig.store(rig.offset(source, .trigger)) }

  /// A load on a source's management page.
  @discardableResult
  func load(_ source: UInt32, at offset: UInt64) throws(DeviceError) -> UInt64 {
    try rig.load(rig.offset(source, .management) + offset)
  }

  /// What Linux does at the end of a message: PQ 00, and a trigger where Q was set.
  ///
  /// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_do_source_eoi`.
  func endMessage(_ source: UInt32) throws(DeviceError) {
    if try load(source, at: 0xc00) & 1 != 0 { try trigger(source) }
  }

  /// A load on the TIMA that a vCPU's own descriptor shows.
  @discardableResult
  func loadTIMA(
    _ server: UInt32, at offset: UInt64, byteCount: Int, _ view: TIMAView = .os
  ) throws(DeviceError) -> UInt64 {
    try rig.load(
      rig.map.offset(of: .connectedTIMA(view)) + offset, byteCount: byteCount,
      by: Self.opener(server))
  }

  /// A store of a big-endian value to the TIMA that a vCPU's own descriptor shows.
  func storeTIMA(
    _ server: UInt32, _ value: UInt64, at offset: UInt64, byteCount: Int, _ view: TIMAView = .os
  ) throws(DeviceError) {
    try rig.store(
      rig.map.offset(of: .connectedTIMA(view)) + offset,
      Array(value.bigEndian.memoryBytes.suffix(byteCount)), by: Self.opener(server))
  }

  /// The first eight bytes of a vCPU's OS ring: NSR, CPPR, IPB, LSMFB, ACK#, INC, AGE, PIPR.
  func ring(_ server: UInt32) throws(DeviceError) -> UInt64 {
    try loadTIMA(server, at: 0x10, byteCount: 8)
  }

  /// NSR, CPPR, IPB and PIPR, one byte each.
  func state(_ server: UInt32) throws(DeviceError) -> UInt32 {
    let ring = try ring(server)
    return UInt32(ring >> 40) << 8 | UInt32(ring & 0xff)
  }

  func setCPPR(_ server: UInt32, _ value: UInt8) throws(DeviceError) {
    try storeTIMA(server, UInt64(value), at: 0x11, byteCount: 1)
  }

  @discardableResult
  func acknowledge(_ server: UInt32) throws(DeviceError) -> UInt64 {
    try loadTIMA(server, at: 0x810, byteCount: 2)
  }

  /// A host takes a vCPU off its thread: word 2 as it was.
  @discardableResult
  func pull(_ server: UInt32) throws(DeviceError) -> UInt64 {
    try rig.load(rig.tima(server, .hv) + 0x818, byteCount: 4)
  }

  /// A host puts a vCPU on its thread.
  func push(_ server: UInt32) throws(DeviceError) {
    let word = UInt32(1) << 31 | 0x400 + server
    try rig.store(rig.tima(server, .hv) + 0x18, word.bigEndian.memoryBytes)
  }

  func entry(_ server: UInt32, _ priority: UInt32 = 6, at index: Int) -> UInt32 {
    let start = Self.queueAddress(server, priority) - Self.ram
    return memory.entry(at: Int(start) + index * 4)
  }

  /// The first entries of a server's queue of priority 6.
  func entries(_ server: UInt32, _ count: Int) -> [UInt32] {
    (0..<count).map { entry(server, at: $0) }
  }

  // MARK: - What the device says

  var counts: DeliveryCounts { rig.device.router.counts }

  var guestErrors: xive_info_guest_errors { rig.device.watch.guestErrors.info }
}

/// How a guest reads a queue: an entry is new when its highest bit differs from the toggle.
struct GuestQueue {
  private let memory: SharedBytes
  private let start: Int
  private let count: Int
  private(set) var index: Int
  private(set) var toggle: UInt32 = 0

  init(
    _ memory: SharedBytes, at address: UInt64, byteCount: UInt64 = Machine.queueSize,
    index: Int = 0
  ) {
    self.memory = memory
    self.index = index
    start = Int(address - Machine.ram)
    count = Int(byteCount) / 4
  }

  /// Takes the next entry's data; nil when there is none.
  mutating func next() -> UInt32? {
    let entry = memory.entry(at: start + index * 4)
    guard entry >> 31 != toggle else { return nil }
    index += 1
    if index == count {
      index = 0
      toggle ^= 1
    }
    return entry & 0x7fff_ffff
  }
}

extension Rig {
  /// The start of a server's TIMA page in region 3.
  func tima(_ server: UInt32, _ view: TIMAView) -> UInt64 {
    map.offset(of: .tima(Server(rawValue: server), view))
  }

  /// The start of an END's page in region 2.
  func endPage(_ server: UInt32, _ priority: UInt32, _ half: ENDHalf = .notification) -> UInt64 {
    map.offset(of: .end(index: server * 8 + priority, half))
  }

  /// Shares memory with the device.
  func addMemory(
    _ slot: UInt64, at address: UInt64, _ memory: SharedBytes
  ) throws(DeviceError) {
    let value = xive_memory(
      gpa: address, size: UInt64(memory.byteCount), fd: 9, zero: 0, offset: 0)
    try set(XIVE_GROUP_MEMORY, slot, value, sharing: [9: memory])
  }

  func removeMemory(_ slot: UInt64) throws(DeviceError) {
    try set(XIVE_GROUP_MEMORY, slot, xive_memory())
  }

  func setQueue(_ server: UInt32, _ priority: UInt32, _ value: xive_eq) throws(DeviceError) {
    try set(UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG), xive_eq_id(server, priority), value)
  }

  /// Sets an attribute to a structure, and carries out what follows.
  func set<Value: BitwiseCopyable>(
    _ group: UInt32, _ attribute: UInt64, _ value: Value, _ route: PayloadRoute = .inline,
    by opener: Opener = writer, sharing shared: [Int32: SharedBytes] = [:]
  ) throws(DeviceError) {
    let bytes = unsafe withUnsafeBytes(of: value) { unsafe [UInt8]($0) }
    let memory = FakeMemory([0x7000: bytes])
    memory.shared = shared
    let header = UInt32(0).memoryBytes + group.memoryBytes + attribute.memoryBytes
    var request =
      switch route {
      case .pointer:
        ControlRequest(
          number: KVMRequest.set.rawValue, input: header + UInt64(0x7000).memoryBytes,
          outputByteCount: 0, opener: opener, caller: memory)
      case .inline:
        ControlRequest(
          number: xive_set_attr_request,
          input: header + bytes
            + [UInt8](repeating: 0, count: Int(XIVE_ATTR_DATA_SIZE) - bytes.count),
          outputByteCount: 128, opener: opener, caller: memory)
      }
    _ = try device.control(&request)
    request.invalidation?.completion()
  }

  /// Gets an attribute as a structure.
  func get<Value: BitwiseCopyable>(
    _ group: UInt32, _ attribute: UInt64, as type: Value.Type, _ route: PayloadRoute = .inline
  ) throws(DeviceError) -> Value {
    switch route {
    case .pointer:
      let memory = FakeMemory()
      try kvm(.get, group: group, attribute, at: 0x9000, by: Self.reader, memory: memory)
      guard case .write(0x9000, let written) = memory.accesses.first else { throw .badAddress }
      return written.value(at: 0)
    case .inline:
      let answer = try inline(xive_get_attr_request, group: group, attribute, by: Self.reader)
      return answer.value(at: 16)
    }
  }

  /// Connects a descriptor by `KVM_ENABLE_CAP`; the caller's descriptor 5 is one of the device.
  func connect(
    _ opener: Opener, to server: UInt64, capability: UInt32 = 169, flags: UInt32 = 0,
    naming descriptor: UInt64 = 5, by memory: FakeMemory = FakeMemory()
  ) throws(DeviceError) -> Invalidation? {
    memory.deviceDescriptors = [5]
    let words = capability.memoryBytes + flags.memoryBytes + descriptor.memoryBytes
    let input = words + server.memoryBytes + [UInt8](repeating: 0, count: 80)
    var request = ControlRequest(
      number: VMRequest.enableCapability.rawValue, input: input, outputByteCount: 0, opener: opener,
      caller: memory)
    _ = try device.control(&request)
    return request.invalidation
  }
}

extension xive_eq {
  /// A queue as the kernel takes it.
  init(at address: UInt64, _ toggle: UInt32 = 1, _ index: UInt32 = 0) {
    self.init()
    flags = UInt32(KVM_XIVE_EQ_ALWAYS_NOTIFY)
    qshift = 16
    qaddr = address
    qtoggle = toggle
    qindex = index
  }
}

extension END {
  init(_ structure: xive_end) {
    self.init()
    (w0, w1, w2, w3, w4, w5, w6, w7) = structure.word
  }

  var structure: xive_end { xive_end(word: (w0, w1, w2, w3, w4, w5, w6, w7)) }
}
