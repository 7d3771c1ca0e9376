import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

private let group = UInt32(KVM_DEV_XIVE_GRP_SOURCE)

@Suite("Group SOURCE: creating sources")
struct SourceAttributeTests {
  private static let outside: [UInt64] = [
    3_000, 3_001, UInt64(XIVE_MAX_SOURCES), 1 << 32, 1 << 32 | 1, 1 << 63, .max,
  ]
  private static let addresses: [UInt64] = [0, 0x7fff_1234_5678, .max - 7]
  private static let lsi = UInt64(KVM_XIVE_LEVEL_SENSITIVE)
  private static let asserted = UInt64(KVM_XIVE_LEVEL_ASSERTED)

  private func rig() -> Rig { Rig(sources: 3_000, existing: 0) }

  @Test("A1: a number out of range is E2BIG before the value is looked at", arguments: outside)
  func range(attribute: UInt64) {
    let rig = rig()
    let memory = FakeMemory()
    rig.expectRefused(.outOfRange) { () throws(DeviceError) in
      try rig.kvm(.set, group: group, attribute, at: 0x1000, memory: memory)
    }
    #expect(memory.accesses.isEmpty)
    rig.expectRefused(.outOfRange) { () throws(DeviceError) in
      _ = try rig.inline(xive_set_attr_request, group: group, attribute)
    }
    rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
      try rig.kvm(.has, group: group, attribute)
    }
    #expect(rig.device.sources.blockCount == 0)
  }

  @Test("The value is 8 bytes at the caller's address", arguments: addresses)
  func pointer(address: UInt64) throws {
    let rig = rig()
    let memory = FakeMemory(at: address, Self.lsi)
    try rig.kvm(.set, group: group, 5, at: address, memory: memory)
    #expect(memory.accesses == [.read(address, 8)])
    #expect(rig.states[5] == 0b1_0101)
  }

  @Test("A2: memory that cannot be read is EFAULT, and the block stays created")
  func fault() {
    let rig = rig()
    rig.expectRefused(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.set, group: group, 2_999, at: 0x1000)
    }
    #expect(!rig.resolves(rig.offset(2_999, .management)))
    #expect(rig.device.sources.blockCount == 1)
  }

  @Test("Only memory of the caller is read for a value behind a pointer")
  func shortMemory() {
    let rig = rig()
    let memory = FakeMemory([0x1000: [1, 0, 0, 0]])
    rig.expectRefused(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.set, group: group, 0, at: 0x1000, memory: memory)
    }
    #expect(memory.accesses == [.read(0x1000, 8)])
  }

  /// Values, and the state byte that creating a source with each gives: created, asserted, LSI, PQ 01.
  private static let values: [(UInt64, UInt8)] = [
    (0, 0b1_0001), (lsi, 0b1_0101), (lsi | asserted, 0b1_1101), (asserted, 0b1_0001),
    (~(lsi | asserted), 0b1_0001), (.max, 0b1_1101),
  ]

  @Test("A3: a new source is what the value says, off, and can be mapped", arguments: values)
  func creation(value: UInt64, state: UInt8) throws {
    for isInline in [false, true] {
      let rig = rig()
      try rig.set(0x17, value, isInline: isInline)
      #expect(rig.states[0x17] == state)
      #expect(rig.states.count { $0 != SourceState.absent.rawValue } == 1)
      #expect(rig.resolves(rig.offset(0x17, .management)))
      #expect(!rig.resolves(rig.offset(0x18, .management)))
    }
  }

  @Test("A4, A5, A6: a second creation masks, and clears nothing", arguments: values, values)
  func recreation(first: (UInt64, UInt8), second: (UInt64, UInt8)) throws {
    for pq in PQ.allCases {
      let rig = rig()
      try rig.set(1, first.0, isInline: false)
      rig.setPQ(1, pq)
      try rig.set(1, second.0, isInline: true)
      // The kernel looks at ASSERTED only where the same call says LSI.
      #expect(rig.states[1] == first.1 | second.1)
      #expect(rig.counters.events == 0)
    }
  }

  @Test("A7: exactly the numbers below the size of the table exist as attributes")
  func has() throws {
    let rig = rig()
    for attribute: UInt64 in [0, 1, 1_023, 1_024, 2_999] {
      let memory = FakeMemory()
      try rig.kvm(.has, group: group, attribute, at: 0xdead, memory: memory)
      try rig.kvm(.has, group: group, attribute, by: Rig.reader)
      #expect(memory.accesses.isEmpty)
    }
    #expect(rig.device.sources.blockCount == 0)
  }

  @Test("Sources cannot be got")
  func get() {
    let rig = rig()
    rig.create(1)
    rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
      try rig.kvm(.get, group: group, 1, at: 0x1000)
    }
    rig.expectRefused(.noSuchAttribute) { () throws(DeviceError) in
      _ = try rig.inline(xive_get_attr_request, group: group, 1)
    }
  }

  @Test("A descriptor without write permission creates nothing")
  func readOnly() {
    let rig = rig()
    let memory = FakeMemory(at: 0x1000, 0)
    rig.expectRefused(.badDescriptor) { () throws(DeviceError) in
      try rig.kvm(.set, group: group, 1, at: 0x1000, by: Rig.reader, memory: memory)
    }
    rig.expectRefused(.badDescriptor) { () throws(DeviceError) in
      _ = try rig.inline(xive_set_attr_request, group: group, 1, by: Rig.reader)
    }
    #expect(memory.accesses.isEmpty)
    #expect(rig.device.sources.blockCount == 0)
  }

  @Test("Blocks come into being as sources do")
  func blocks() throws {
    let rig = rig()
    for (attribute, count) in [(UInt64(0), 1), (1_023, 1), (2_999, 2), (1_024, 3)] {
      try rig.set(attribute, 0, isInline: true)
      #expect(rig.device.sources.blockCount == count)
    }
  }
}

extension Rig {
  /// Sets an attribute of the group by pointer or inline.
  fileprivate func set(_ attribute: UInt64, _ value: UInt64, isInline: Bool) throws(DeviceError) {
    if isInline {
      _ = try inline(xive_set_attr_request, group: group, attribute, value.memoryBytes)
    } else {
      let memory = FakeMemory(at: 0x7000, value)
      try kvm(.set, group: group, attribute, at: 0x7000, memory: memory)
    }
  }
}
