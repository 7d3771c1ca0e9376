import CXIVE
import Glibc
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// One of KVM's requests other than for attributes, and its error; 0: none.
private struct Row: Sendable, CustomTestStringConvertible {
  let name: String
  let number: UInt32
  /// The structure's words; the rest is 0.
  let words: [UInt32]
  /// Of the server whose vCPU asks; nil: another descriptor, which is not connected.
  var server: UInt32?
  let error: Int32
  /// What is returned where there is no error.
  var result: Int32 = 0
  /// Whether a descriptor that may not write is told the same, not EBADF.
  var isForReaders = false

  var testDescription: String { "\(name) \(words)" }
}

/// The machine is that of the errors' table, with source 1 routed and running: sources 0 to 3 exist, 0 is mapped to
/// hardware, 3 is an LSI; servers 0 and 1 of 4 have vCPUs. The caller's descriptors 20 and 21 are eventfds, of which 20
/// is assigned to source 2; 5 is the device's, 6 another file's. Memory at 0x3000 is good, at 0x4000 cannot be reached.
private let lines: [([UInt32], Int32)] = [
  ([1, 0], 0), ([1, 1], 0), ([1, .max], 0), ([3, 1], 0), ([3, 0], 0),
  // Mapped to hardware, whatever the level; never created; beyond.
  ([0, 1], EINVAL), ([0, 0], EINVAL), ([4, 1], EINVAL), ([1_030, 1], EINVAL),
  ([.max, 0], EINVAL),
]

private let eventfds: [([UInt32], Int32)] = [
  // eventfd, LISN, flags (1 deassign, 2 resample), resamplefd.
  ([21, 1, 0, 0], 0), ([21, 3, 2, 22], 0), ([.max, 3, 2, 22], 0),
  ([21, 1, 4, 0], EINVAL), ([21, 1, 1 << 31, 0], EINVAL), ([99, 99, 8, 0], EINVAL),
  ([99, 1, 0, 0], EBADF), ([.max, 1, 0, 0], EBADF), ([99, 4, 0, 0], EBADF),
  ([21, 3, 2, 99], EBADF), ([21, 1, 2, .max], EBADF), ([99, 1, 1, 0], EBADF),
  ([21, 4, 0, 0], EINVAL), ([21, 1_030, 0, 0], EINVAL), ([21, .max, 0, 0], EINVAL),
  ([21, 3, 0, 0], EINVAL), ([21, 1, 2, 22], EINVAL), ([.max, 1, 2, 22], EINVAL),
  ([20, 2, 0, 0], EBUSY), ([20, 1, 0, 0], EBUSY),
  // What is not assigned is no error.
  ([21, 1, 1, 0], 0), ([20, 1, 1, 0], 0), ([20, 2, 1, 0], 0), ([21, 4_000, 1, 0], 0),
]

private let messages: [([UInt32], Int32, Int32)] = [
  // Address, data, flags, requester.
  ([0xfee0, 0, 0x40, 1, 5], 0, 1), ([0xfee0, 0, 0x41, 1, 5], 0, 0),
  ([0xfee0, 0, 0x40, 0, 5], EINVAL, 0), ([0xfee0, 0, 0x40, 3, 5], EINVAL, 0),
  ([0xfee0, 0, 0x40, 2, 5], EINVAL, 0), ([0xfee0, 0, 0x3f, 1, 5], ENOENT, 0),
  ([0xfee0, 1, 0x40, 1, 5], ENOENT, 0), ([0xfee0, 0, 0x40, 1, 6], ENOENT, 0),
  ([0xfee0, 0, 0x50, 1, 5], EINVAL, 0),
]

private let connections: [(UInt32?, [UInt32], Int32)] = [
  // Capability, flags, descriptor, server, 64 bits each from the descriptor on.
  (nil, [169, 0, 5, 0, 2, 0], 0), (nil, [168, 1, 6, 0, 4, 0], EINVAL),
  (nil, [169, 1, 5, 0, 2, 0], EINVAL), (nil, [169, 0, 99, 0, 4, 0], EBADF),
  (nil, [169, 0, 5, 1, 2, 0], EBADF), (nil, [169, 0, 6, 0, 4, 0], EPERM),
  (0, [169, 0, 5, 0, 4, 0], EBUSY), (nil, [169, 0, 5, 0, 4, 0], EINVAL),
  (nil, [169, 0, 5, 0, 0, 1], EINVAL), (nil, [169, 0, 5, 0, 1, 0], EEXIST),
]

private let registers: [(UInt32?, [UInt32], Int32, Int32)] = [
  (0, [0x8d, 0x1040_0000, 0x3000, 0], 0, 0), (nil, [0x8d, 0x1040_0000, 0x3000, 0], ENXIO, ENXIO),
  (0, [0x8c, 0x1040_0000, 0x4000, 0], EINVAL, EINVAL),
  (nil, [0x8d, 0x1030_0000, 0x3000, 0], EINVAL, EINVAL),
  (0, [0x8d, 0x1040_0000, 0, 0], EFAULT, EFAULT),
  (0, [0x8d, 0x1040_0000, 0x4000, 0], EFAULT, EFAULT),
  // A set has read its value before anybody asks for the vCPU.
  (nil, [0x8d, 0x1040_0000, 0x4000, 0], ENXIO, EFAULT),
]

private let lineRows: [Row] = lines.flatMap { (words: [UInt32], error: Int32) in
  [
    Row(name: "KVM_IRQ_LINE", number: 0x4008_ae61, words: words, error: error),
    Row(name: "KVM_IRQ_LINE_STATUS", number: 0xc008_ae67, words: words, error: error),
  ]
}

private let eventfdRows: [Row] = eventfds.map { (words: [UInt32], error: Int32) in
  Row(name: "KVM_IRQFD", number: 0x4020_ae76, words: words, error: error)
}

private let messageRows: [Row] = messages.map { (words: [UInt32], error: Int32, result: Int32) in
  Row(name: "KVM_SIGNAL_MSI", number: 0x4020_aea5, words: words, error: error, result: result)
}

private let connectionRows: [Row] = connections.map {
  (server: UInt32?, words: [UInt32], error: Int32) in
  Row(
    name: "KVM_ENABLE_CAP", number: 0x4068_aea3, words: words, server: server, error: error)
}

private let registerRows: [Row] = registers.flatMap {
  (server: UInt32?, words: [UInt32], get: Int32, set: Int32) in
  [
    Row(
      name: "KVM_GET_ONE_REG", number: 0x4010_aeab, words: words, server: server, error: get,
      isForReaders: true),
    Row(name: "KVM_SET_ONE_REG", number: 0x4010_aeac, words: words, server: server, error: set),
  ]
}

private let rows: [Row] = lineRows + eventfdRows + messageRows + connectionRows + registerRows

@Suite("KVM's other requests: errors as in the table")
struct RequestTableTests {
  /// A caller's memory of which one place is good.
  private final class Process: Caller {
    let events: [Int32: FakeEvent]
    let name = "a test"

    init(_ events: [Int32: FakeEvent]) { self.events = events }

    func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
      guard address == 0x3000 else { throw .badAddress }
      return .init(repeating: 0, count: byteCount)
    }
    func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) {
      guard address == 0x3000 else { throw .badAddress }
    }
    func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool {
      guard descriptor == 5 || descriptor == 6 else { throw .badDescriptor }
      return descriptor == 5
    }
    func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent {
      guard let event = events[descriptor] else { throw .badDescriptor }
      return event
    }
    func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
      -> any SharedMemory
    {
      throw .badDescriptor
    }
  }

  private func ask(_ row: Row, isWritable: Bool) throws -> (Int32, Int32, isSame: Bool) {
    let rig = try Rig.withPHB(sources: 1_030, existing: 3)
    rig.create(3, isLSI: true)
    let machine = try Machine(rig, cpus: 2)
    for lisn: UInt32 in [1, 0] {
      try rig.set(
        XIVE_GROUP_MSI, 5,
        xive_msi(
          address: 0xfee0, first_data: lisn == 1 ? 0x40 : 0x50, count: 2, first_lisn: lisn, zero: 0)
      )
    }
    try rig.map(0, to: 0)
    try machine.start(1, on: 0, eisn: 0x11)
    let events = [Int32(20), 21, 22].map { ($0, FakeEvent(UInt64($0))) }
    let caller = Process(Dictionary(uniqueKeysWithValues: events))
    let stranger = Opener(id: 7, isWritable: true)
    try rig.device.assign(
      IRQFD(LISN(rawValue: 2), opener: 7, event: caller.events[20], resample: nil))
    let size = Int(row.number >> 16 & 0x3fff)
    let input = row.words.flatMap(\.memoryBytes)
    let opener = row.server.map(Machine.opener) ?? stranger
    var request = ControlRequest(
      number: row.number, input: input + [UInt8](repeating: 0, count: size - input.count),
      outputByteCount: row.number >> 31 == 1 ? size : 0,
      opener: Opener(id: opener.id, isWritable: isWritable), caller: caller)
    let before = DeliverySnapshot(rig)
    defer { [stranger].forEach { rig.device.closed($0)?.completion() } }
    do {
      let result = try rig.device.control(&request)
      request.invalidation?.completion()
      return (0, result, true)
    } catch {
      return (error.rawValue, 0, DeliverySnapshot(rig) == before)
    }
  }

  @Test("Each, by a descriptor that may write and by one that may not", arguments: rows)
  private func errors(row: Row) throws {
    let (error, result, isSame) = try ask(row, isWritable: true)
    #expect(error == row.error && isSame)
    #expect(result == row.result)
    let (readError, _, isReadSame) = try ask(row, isWritable: false)
    #expect(readError == (row.isForReaders ? row.error : EBADF) && isReadSame)
  }

  @Test("The table has every request but the one that tells of capabilities")
  func complete() {
    let numbers = Set(rows.map(\.number))
    #expect(numbers == Set(VMRequest.allCases.map(\.rawValue)).subtracting([0xae03]))
  }
}
