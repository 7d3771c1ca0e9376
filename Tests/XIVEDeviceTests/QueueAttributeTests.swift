import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

private let group = UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG)

@Suite("Group EQ_CONFIG: event queues")
struct QueueAttributeTests {
  private static let routes = PayloadRoute.allCases

  /// A machine with one vCPU and no queue, whose RAM is in two slots, one behind the other.
  private func machine() throws -> Machine {
    let machine = try Machine(cpus: 1, priorities: [])
    let end = Machine.ram + UInt64(machine.memory.byteCount)
    try machine.rig.addMemory(1, at: end, SharedBytes(byteCount: 2 * 65_536))
    return machine
  }

  private func refuse(
    _ error: DeviceError, _ machine: Machine, _ attribute: UInt64, _ value: xive_eq,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for route in Self.routes {
      machine.rig.expectNothing(error, "\(route)", sourceLocation: sourceLocation) {
        () throws(DeviceError) in
        try machine.rig.set(group, attribute, value, route)
      }
    }
  }

  @Test("A11: memory that cannot be read is found first, then the server, then the priority")
  func order() throws {
    let machine = try machine()
    let rig = machine.rig
    for attribute in [xive_eq_id(3, 7), xive_eq_id(0, 7), xive_eq_id(0, 6)] {
      rig.expectNothing(.badAddress) { () throws(DeviceError) in
        try rig.kvm(.set, group: group, attribute, at: 0x1000)
      }
      rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try rig.kvm(.set, group: group, attribute, at: 0x1000, by: Rig.reader)
      }
    }
    for server: UInt32 in [1, 3, 4, 16_384, 0x1fff_ffff] {
      for priority: UInt32 in [0, 6, 7] {
        refuse(.notFound, machine, xive_eq_id(server, priority), xive_eq())
        #expect(throws: DeviceError.notFound) {
          try rig.get(group, xive_eq_id(server, priority), as: xive_eq.self)
        }
      }
    }
    refuse(.invalid, machine, xive_eq_id(0, 7), xive_eq())
    refuse(.invalid, machine, xive_eq_id(0, 7), xive_eq(at: Machine.ram))
    for route in Self.routes {
      rig.expectNothing(.invalid) { () throws(DeviceError) in
        _ = try rig.get(group, xive_eq_id(0, 7), as: xive_eq.self, route)
      }
    }
  }

  @Test("A server whose vCPU has gone is unknown")
  func disconnected() throws {
    let machine = try machine()
    try machine.setQueue(0, 6)
    machine.disconnect(0)
    refuse(.notFound, machine, xive_eq_id(0, 6), xive_eq(at: Machine.ram))
    #expect(throws: DeviceError.notFound) {
      try machine.rig.get(group, xive_eq_id(0, 6), as: xive_eq.self)
    }
    try machine.connect(0)
    #expect(try machine.rig.get(group, xive_eq_id(0, 6), as: xive_eq.self).qshift == 16)
  }

  @Test("A11: what the kernel does not take is EINVAL, and the queue of before stays")
  func values() throws {
    let machine = try machine()
    try machine.setQueue(0, 6, toggle: 0, index: 9)
    let before = try machine.end(0, 6)
    var wrong: [xive_eq] = []
    for flags: UInt32 in [0, 2, 3, 1 << 31, .max] {
      wrong.append(xive_eq(at: Machine.ram))
      wrong[wrong.count - 1].flags = flags
    }
    for shift: UInt32 in [1, 12, 15, 17, 21, 24, 48, .max] {
      wrong.append(xive_eq(at: 0))
      wrong[wrong.count - 1].qshift = shift
    }
    wrong += [(2, 0), (.max, 0), (1, 16_384), (1, .max)].map { (toggle: UInt32, index: UInt32) in
      xive_eq(at: Machine.ram, toggle, index)
    }
    for value in wrong { refuse(.invalid, machine, xive_eq_id(0, 6), value) }
    #expect(try machine.end(0, 6) == before)
  }

  @Test("A11: a queue lies in one slot of the guest's RAM, aligned")
  func addresses() throws {
    let machine = try machine()
    let size = UInt64(machine.memory.byteCount)
    // Half of it in one slot, half in the next.
    let odd: UInt64 = 0x8_0000_0000
    try machine.rig.addMemory(2, at: odd + 4_096, SharedBytes(byteCount: 2 * 65_536))
    try machine.rig.addMemory(3, at: odd + 4_096 + 2 * 65_536, SharedBytes(byteCount: 2 * 65_536))
    let outside: [UInt64] = [
      0, Machine.ram - 65_536, Machine.ram + 4, Machine.ram + 4_096, Machine.ram + 32_768,
      Machine.ram + size + 2 * 65_536, odd, odd + 2 * 65_536, odd + 4 * 65_536,
      1 << 60 | Machine.ram, 1 << 60, .max - 65_535, .max,
    ]
    for address in outside { refuse(.invalid, machine, xive_eq_id(0, 6), xive_eq(at: address)) }
    #expect(try machine.end(0, 6) == END())
    for address in [
      Machine.ram, Machine.ram + size - 65_536, Machine.ram + size, Machine.ram + size + 65_536,
      odd + 65_536, odd + 3 * 65_536,
    ] {
      try machine.rig.setQueue(0, 6, xive_eq(at: address))
      #expect(try machine.end(0, 6).queueAddress == address)
    }
  }

  @Test("What was set is what is got, and bits 63 to 32 of the name are ignored", arguments: routes)
  func roundTrip(route: PayloadRoute) throws {
    let machine = try machine()
    for priority in UInt32(0)...6 {
      let name = xive_eq_id(0, priority) | UInt64(0xdead) << 32
      let address = Machine.queueAddress(0, priority)
      try machine.rig.set(group, name, xive_eq(at: address, priority & 1, priority), route)
      for name in [name, xive_eq_id(0, priority)] {
        let value = try machine.rig.get(group, name, as: xive_eq.self, route)
        #expect(value.flags == 1 && value.qshift == 16 && value.qaddr == address)
        #expect(value.qtoggle == priority & 1 && value.qindex == priority)
      }
      let end = try machine.end(0, priority)
      #expect(end.isEnqueued && end.notifiesAlways && end.keepsBacklog && !end.escalates)
      #expect(end.target == NVTIndex(Server(rawValue: 0)) && end.rawPriority == priority)
    }
  }

  @Test("A12: where there is no queue, a get writes nothing")
  func nothing() throws {
    let machine = try machine()
    let memory = FakeMemory()
    try machine.rig.kvm(.get, group: group, xive_eq_id(0, 6), at: 0x9000, memory: memory)
    #expect(memory.accesses.isEmpty)
    let payload: [UInt8] = .init(repeating: 0x5a, count: 64)
    let answer = try machine.rig.inline(
      xive_get_attr_request, group: group, xive_eq_id(0, 6), payload, by: Rig.reader)
    #expect(Array(answer[16..<80]) == payload)
  }

  @Test("6.3: size 0 disables a queue, whatever else is asked")
  func reset() throws {
    let machine = try machine()
    for flags: UInt32 in [0, 1, .max] {
      try machine.setQueue(0, 6)
      var value = xive_eq(at: 0x123, 7, .max)
      value.qshift = 0
      value.flags = flags
      try machine.rig.setQueue(0, 6, value)
      #expect(try machine.end(0, 6) == END())
      try machine.rig.setQueue(0, 6, value)
    }
  }

  @Test("A13: toggle and index are where the next entry goes, and what it begins with")
  func position() throws {
    let machine = try machine()
    for (toggle, index, last) in [(UInt32(0), UInt32(5), 6), (1, 16_383, 0), (0, 16_383, 0)] {
      try machine.setQueue(0, 6, toggle: toggle, index: index)
      try machine.start(1, on: 0, eisn: 0x51)
      try machine.trigger(1)
      #expect(machine.entry(0, at: Int(index)) == toggle << 31 | 0x51)
      let value = try machine.rig.get(group, xive_eq_id(0, 6), as: xive_eq.self)
      #expect(value.qindex == UInt32(last))
      #expect(value.qtoggle == (last == 0 ? 1 - toggle : toggle))
    }
  }

  @Test("A14: the same queue set again begins anew")
  func setAgain() throws {
    let machine = try machine()
    try machine.setQueue(0, 6)
    try machine.start(1, on: 0, eisn: 0x51)
    try machine.trigger(1)
    try machine.setQueue(0, 6)
    let value = try machine.rig.get(group, xive_eq_id(0, 6), as: xive_eq.self)
    #expect(value.qindex == 0 && value.qtoggle == 1)
    try machine.endMessage(1)
    try machine.route(1, to: 0, eisn: 0x52)
    try machine.trigger(1)
    #expect(machine.entries(0, 2) == [0x8000_0052, 0])
  }

  @Test("Every attribute exists, and a descriptor that may not write may get")
  func has() throws {
    let machine = try machine()
    for attribute: UInt64 in [0, 7, xive_eq_id(9_999, 3), .max] {
      try machine.rig.kvm(.has, group: group, attribute, by: Rig.reader)
    }
    try machine.setQueue(0, 6)
    for route in Self.routes {
      // Its gets are by the reader.
      #expect(try machine.rig.get(group, xive_eq_id(0, 6), as: xive_eq.self, route).flags == 1)
      machine.rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try machine.rig.set(group, xive_eq_id(0, 6), xive_eq(), route, by: Rig.reader)
      }
    }
    machine.rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try machine.rig.kvm(
        .get, group: group, xive_eq_id(0, 6), at: 1, memory: FakeMemory(isWritable: false))
    }
  }
}
