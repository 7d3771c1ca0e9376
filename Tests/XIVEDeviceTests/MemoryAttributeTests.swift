import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Group MEMORY: the guest's RAM")
struct MemoryAttributeTests {
  private static let routes = PayloadRoute.allCases
  private static let page: UInt64 = 4_096

  private static func value(
    at address: UInt64, _ size: UInt64, fd: Int32 = 9, zero: UInt32 = 0, offset: UInt64 = 0
  ) -> xive_memory {
    xive_memory(gpa: address, size: size, fd: fd, zero: zero, offset: offset)
  }

  private func refuse(
    _ error: DeviceError, _ rig: Rig, _ slot: UInt64, _ value: xive_memory,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let shared = [Int32(9): SharedBytes(byteCount: 65_536)]
    let before = rig.slots
    for route in Self.routes {
      rig.expectNothing(error, "\(route)", sourceLocation: sourceLocation) {
        () throws(DeviceError) in
        try rig.set(XIVE_GROUP_MEMORY, slot, value, route, sharing: shared)
      }
    }
    #expect(rig.slots == before, sourceLocation: sourceLocation)
  }

  @Test("There are 32 slots")
  func slots() throws {
    let rig = Rig()
    for slot: UInt64 in [0, 31] {
      try rig.kvm(.has, group: XIVE_GROUP_MEMORY, slot, by: Rig.reader)
      let memory = SharedBytes(byteCount: 4_096)
      try rig.addMemory(slot, at: slot << 12, memory)
    }
    for slot: UInt64 in [32, 33, 1 << 32, .max] {
      refuse(.noSuchAttribute, rig, slot, Self.value(at: 1 << 30, Self.page))
      for request in [KVMRequest.has, .get] {
        rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
          try rig.kvm(request, group: XIVE_GROUP_MEMORY, slot, at: 0x9000)
        }
      }
    }
  }

  @Test("What is set is what is got, but for the descriptor", arguments: routes)
  func roundTrip(route: PayloadRoute) throws {
    let rig = Rig()
    for slot: UInt64 in [0, 7] {
      rig.expectNothing(.notFound) { () throws(DeviceError) in
        _ = try rig.get(XIVE_GROUP_MEMORY, slot, as: xive_memory.self, route)
      }
    }
    let memory = SharedBytes(byteCount: 3 * 4_096)
    let address: UInt64 = 1 << 60 - 2 * 4_096
    try rig.set(
      XIVE_GROUP_MEMORY, 7, Self.value(at: address, 2 * 4_096), route, sharing: [9: memory])
    let value = try rig.get(XIVE_GROUP_MEMORY, 7, as: xive_memory.self, route)
    #expect(value.gpa == address && value.size == 2 * 4_096)
    #expect(value.fd == -1 && value.offset == 0 && value.zero == 0)
  }

  @Test("What cannot be RAM is EINVAL; the caller's descriptor decides the rest")
  func refusals() throws {
    let rig = Rig()
    try rig.addMemory(3, at: 1 << 20, SharedBytes(byteCount: 4 * 4_096))
    for bit in 0..<12 {
      let odd = UInt64(1) << UInt64(bit)
      refuse(.invalid, rig, 0, Self.value(at: odd, Self.page))
      refuse(.invalid, rig, 0, Self.value(at: 0, Self.page + odd))
      refuse(.invalid, rig, 0, Self.value(at: 0, Self.page, offset: odd))
    }
    refuse(.invalid, rig, 0, Self.value(at: 0, Self.page, zero: 1))
    refuse(.invalid, rig, 3, Self.value(at: 0, 0, zero: 1))
    refuse(.invalid, rig, 0, Self.value(at: 1 << 60, Self.page))
    refuse(.invalid, rig, 0, Self.value(at: 1 << 60 - Self.page, 2 * Self.page))
    refuse(.invalid, rig, 0, Self.value(at: .max - Self.page + 1, Self.page))
    refuse(.badDescriptor, rig, 0, Self.value(at: 0, Self.page, fd: 8))
    refuse(.invalid, rig, 0, Self.value(at: 0, 17 * Self.page))
    refuse(.notFound, rig, 0, Self.value(at: 0, 0))
    rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try rig.kvm(.set, group: XIVE_GROUP_MEMORY, 0, at: 0x1000)
    }
    rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
      try rig.set(XIVE_GROUP_MEMORY, 3, xive_memory(), by: Rig.reader)
    }
  }

  @Test("A slot is taken once, and shares no address with another")
  func overlap() throws {
    let rig = Rig()
    try rig.addMemory(3, at: 8 * Self.page, SharedBytes(byteCount: 4 * 4_096))
    refuse(.exists, rig, 3, Self.value(at: 1 << 30, Self.page))
    for (first, count) in [(5, 4), (8, 1), (8, 4), (11, 1), (11, 4), (9, 2), (0, 16)] {
      refuse(.exists, rig, 4, Self.value(at: UInt64(first) * Self.page, UInt64(count) * Self.page))
    }
    try rig.addMemory(4, at: 4 * Self.page, SharedBytes(byteCount: 4 * 4_096))
    try rig.addMemory(5, at: 12 * Self.page, SharedBytes(byteCount: 4 * 4_096))
    try rig.removeMemory(3)
    try rig.addMemory(6, at: 8 * Self.page, SharedBytes(byteCount: 4 * 4_096))
    #expect(rig.slots == [4: 4 * Self.page, 5: 12 * Self.page, 6: 8 * Self.page])
  }

  @Test("Removing a slot disables the queues in it, and no other")
  func removal() throws {
    let machine = try Machine(cpus: 2, priorities: [5])
    let rig = machine.rig
    let size = UInt64(machine.memory.byteCount)
    let above = SharedBytes(byteCount: 2 * 65_536)
    try rig.addMemory(1, at: Machine.ram + size, above)
    try rig.setQueue(0, 6, xive_eq(at: Machine.ram + size))
    try rig.setQueue(1, 6, xive_eq(at: Machine.ram + size + 65_536))
    try machine.start(1, on: 0, 6, eisn: 0x61)
    try machine.start(2, on: 1, 5, eisn: 0x52)
    try machine.trigger(1)
    #expect(above.entry(at: 0) == 0x8000_0061)
    try machine.endMessage(1)

    try rig.removeMemory(1)
    for server: UInt32 in [0, 1] {
      #expect(try machine.end(server, 6) == END())
      #expect(try machine.end(server, 5).isValid)
    }
    try machine.trigger(1)
    #expect(above.entry(at: 4) == 0, "nothing is written any more")
    #expect(machine.guestErrors.end_invalid == 1)
    #expect(rig.pq(1) == .pending)
    // The server goes on.
    try machine.trigger(2)
    #expect(machine.entry(1, 5, at: 0) == 0x8000_0052)
    try rig.addMemory(1, at: Machine.ram + size, above)
    try rig.setQueue(0, 6, xive_eq(at: Machine.ram + size, 0, 7))
    try machine.endMessage(1)
    try machine.trigger(1)
    #expect(above.entry(at: 28) == 0x61)
  }

  @Test("Memory that was taken away is let go, whatever lay in it")
  func release() throws {
    let machine = try Machine(cpus: 1, priorities: [])
    let rig = machine.rig
    weak var released: SharedBytes?
    do {
      let memory = SharedBytes(byteCount: 2 * 65_536)
      released = memory
      try rig.addMemory(1, at: 0, memory)
      try rig.setQueue(0, 6, xive_eq(at: 0))
      var end = Machine.end(1, 3)
      (end.w2, end.w3) = (0, 65_536)
      try machine.setEND(1, 3, end)
    }
    #expect(released != nil)
    try rig.removeMemory(1)
    #expect(released == nil)
    rig.expectNothing(.notFound) { () throws(DeviceError) in try rig.removeMemory(1) }
  }

  @Test("A queue that moves lets go of nothing but itself")
  func move() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    let other = SharedBytes(byteCount: 65_536)
    try rig.addMemory(1, at: 0, other)
    try machine.start(1, on: 0, eisn: 0x61)
    try machine.trigger(1)
    try rig.setQueue(0, 6, xive_eq(at: 0))
    try machine.endMessage(1)
    try machine.trigger(1)
    #expect(machine.entries(0, 2) == [0x8000_0061, 0])
    #expect(other.entry(at: 0) == 0x8000_0061)
    // What it has left may go.
    try rig.removeMemory(0)
    try machine.endMessage(1)
    try machine.trigger(1)
    #expect(other.entry(at: 4) == 0x8000_0061)
  }
}

extension Rig {
  /// Where each slot's memory begins.
  fileprivate var slots: [UInt64: UInt64] {
    var slots: [UInt64: UInt64] = [:]
    for slot in UInt64(0)..<32 {
      slots[slot] = try? get(XIVE_GROUP_MEMORY, slot, as: xive_memory.self).gpa
    }
    return slots
  }
}
