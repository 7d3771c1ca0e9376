import CXIVE
import PagedDevice
import Synchronization

@testable import XIVEDevice

/// KVM's requests for attributes.
///
/// Source: Linux `include/uapi/linux/kvm.h`, `KVM_SET_DEVICE_ATTR` and its neighbours.
enum KVMRequest: UInt32, CaseIterable {
  case set = 0x4018_aee1
  case get = 0x4018_aee2
  case has = 0x4018_aee3
}

/// A caller whose memory is a list of 8-byte cells, and who writes down every access to it.
final class FakeMemory: Caller {
  enum Access: Hashable {
    case read(UInt64, Int)
    case write(UInt64, [UInt8])
  }

  private let bytes: [UInt64: [UInt8]]
  private let isWritable: Bool
  /// What its descriptors share.
  var shared: [Int32: SharedBytes] = [:]
  /// Its descriptors of the device's file.
  var deviceDescriptors: Set<Int32> = []
  /// Its descriptors of eventfds.
  var events: [Int32: FakeEvent] = [:]
  let name = "a test"
  private(set) var accesses: [Access] = []

  /// What can be read, by address; everything else faults.
  init(_ bytes: [UInt64: [UInt8]] = [:], isWritable: Bool = true) {
    self.bytes = bytes
    self.isWritable = isWritable
  }

  convenience init(at address: UInt64, _ value: UInt64) {
    self.init([address: value.memoryBytes])
  }

  func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
    accesses.append(.read(address, byteCount))
    guard let found = bytes[address], found.count >= byteCount else { throw .badAddress }
    return Array(found.prefix(byteCount))
  }

  func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) {
    accesses.append(.write(address, bytes))
    guard isWritable else { throw .badAddress }
  }

  func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
    -> any SharedMemory
  {
    guard let memory = shared[descriptor] else { throw .badDescriptor }
    guard offset == 0, byteCount <= UInt64(memory.byteCount) else { throw .invalid }
    return memory
  }

  func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent {
    guard let event = events[descriptor] else { throw .badDescriptor }
    return event
  }

  func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool {
    if deviceDescriptors.contains(descriptor) { return true }
    guard shared[descriptor] != nil else { throw .badDescriptor }
    return false
  }
}

/// Memory that a test shares with the device.
@safe
final class SharedBytes: SharedMemory, @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; every read is atomic.
  let bytes: UnsafeMutableRawBufferPointer
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
    unsafe bytes = .allocate(byteCount: byteCount, alignment: 65_536)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe bytes.deallocate() }

  /// A word as the guest reads it, while the device may write it.
  func entry(at offset: Int) -> UInt32 {
    UInt32(bigEndian: unsafe word(at: offset).pointee.load(ordering: .acquiring))
  }

  /// Writes a word as the device would.
  func setEntry(_ entry: UInt32, at offset: Int) {
    unsafe word(at: offset).pointee.store(entry.bigEndian, ordering: .releasing)
  }

  @unsafe
  private func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    precondition(offset >= 0 && offset + 4 <= byteCount, "outside of the memory")
    guard let base = unsafe bytes.baseAddress else { preconditionFailure("no memory") }
    return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
  }
}

extension Rig {
  /// One request, as the file passes it on: the answer has the size that the number encodes.
  func control(
    _ number: UInt32, _ input: [UInt8], by opener: Opener = writer,
    memory: any Caller = FakeMemory()
  ) throws(DeviceError) -> [UInt8] {
    let reads = number >> 31 == 1
    var request = ControlRequest(
      number: number, input: input, outputByteCount: reads ? Int(number >> 16 & 0x3fff) : 0,
      opener: opener, caller: memory)
    let result = try device.control(&request)
    precondition(result == 0, "no attribute returns anything else")
    return request.output
  }

  /// One of KVM's requests.
  func kvm(
    _ request: KVMRequest, group: UInt32, _ attribute: UInt64, at address: UInt64 = 0,
    flags: UInt32 = 0, by opener: Opener = writer, memory: FakeMemory = FakeMemory()
  ) throws(DeviceError) {
    let input =
      flags.memoryBytes + group.memoryBytes + attribute.memoryBytes + address.memoryBytes
    _ = try control(request.rawValue, input, by: opener, memory: memory)
  }

  /// One of the device's own requests; the payload is padded with zeros.
  func inline(
    _ number: UInt32, group: UInt32, _ attribute: UInt64, _ payload: [UInt8] = [],
    flags: UInt32 = 0, by opener: Opener = writer
  ) throws(DeviceError) -> [UInt8] {
    let padding = [UInt8](repeating: 0, count: Int(XIVE_ATTR_DATA_SIZE) - payload.count)
    let input =
      flags.memoryBytes + group.memoryBytes + attribute.memoryBytes + payload + padding
    return try control(number, input, by: opener)
  }
}
