import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

private let control = UInt32(KVM_DEV_XIVE_GRP_CTRL)
private let queue = UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG)

@Suite("The kernel's attributes, whole")
struct AttributeContractTests {
  private static let routes = PayloadRoute.allCases

  @Test("A1: -1 and the first number beyond are no sources, the last one is, also of the most")
  func lastSource() throws {
    let rig = Rig(sources: XIVE_MAX_SOURCES, existing: 0)
    for number: UInt64 in [0x10_0000, .max] {
      #expect(throws: DeviceError.outOfRange) { try rig.set(2, number, 0 as UInt64) }
    }
    try rig.set(2, 0xf_ffff, 0 as UInt64)
    #expect(try rig.load(rig.offset(0xf_ffff, .management) + 0x800) == 1)
    #expect(rig.device.sources.blockCount == 1)
  }

  @Test("A2: where a source could not be created its block is there: EINVAL, not ENOENT")
  func blockStays() throws {
    let rig = Rig(sources: 2_048, existing: 1)
    for (group, value) in [(UInt32(3), UInt64(0)), (5, 0)] {
      #expect(throws: DeviceError.notFound) { try rig.set(group, 1_500, value) }
    }
    #expect(throws: DeviceError.badAddress) { try rig.kvm(.set, group: 2, 1_500, at: 0) }
    for (group, value) in [(UInt32(3), UInt64(0)), (5, 0)] {
      #expect(throws: DeviceError.invalid) { try rig.set(group, 1_500, value) }
    }
  }

  @Test(
    "A3, A4: GET is 1 after a creation, and an active source has lost its route", arguments: routes)
  func creation(route: PayloadRoute) throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try rig.set(2, 7, 0 as UInt64, route)
    #expect(try machine.load(7, at: 0x800) == 1)
    try machine.start(7, on: 0, eisn: 0x70)
    try machine.trigger(7)
    #expect(try machine.load(7, at: 0x800) == 2)
    try rig.set(2, 7, 0 as UInt64, route)
    #expect(try machine.load(7, at: 0x800) == 1)
    #expect(rig.device.router.eas(of: LISN(rawValue: 7)) == .masked)
  }

  @Test("A5, A6: an LSI stays one, and its line stays held: its end makes it pending again")
  func sticky() throws {
    let rig = Rig(sources: 8, existing: 0)
    for value: UInt64 in [3, 0] {
      try rig.set(2, 4, value)
      #expect(try rig.load(rig.offset(4, .management) + 0xc00) == 1)
      #expect(try rig.load(rig.offset(4, .management)) == 1)
      #expect(rig.pq(4) == .pending)
    }
    // Held by nobody.
    try rig.set(2, 5, 1 as UInt64)
    try rig.set(2, 5, 0 as UInt64)
    rig.setPQ(5, .reset)
    #expect(try rig.load(rig.offset(5, .management)) == 0)
  }

  @Test("A8: where no such queue is, another vCPU's takes its place: that of vCPU 1")
  func retargeted() throws {
    let machine = try Machine(cpus: 2, priorities: [])
    #expect(throws: DeviceError.busy) { try machine.route(1, to: 0, 5, eisn: 0x31) }
    try machine.setQueue(1, 5)
    try machine.start(1, on: 1, 5, eisn: 0x30)
    try machine.route(1, to: 0, 5, eisn: 0x31)
    try machine.trigger(1)
    #expect(machine.entry(1, 5, at: 0) == 0x8000_0031)
    #expect(try machine.acknowledge(1) == 0x8005)
  }

  // The kernel looks at the mask only where server, priority or number change, too.
  @Test("A10: the mask counts with the triple of before and with another, and forgets the number")
  func masked() throws {
    let machine = try Machine(cpus: 2)
    let lisn = LISN(rawValue: 1)
    for server: UInt32 in [0, 1] {
      try machine.route(1, to: 0, eisn: 0x41)
      try machine.route(1, to: server, eisn: 0x41 + server, isMasked: true)
      #expect(machine.rig.device.router.eas(of: lisn) == .masked)
      #expect(machine.rig.device.router.eas(of: lisn).eisn.rawValue == 0)
      try machine.start(1, on: 0, eisn: 0x43 + server)
      try machine.trigger(1)
      #expect(machine.entry(0, at: Int(server)) == 0x8000_0043 + server)
    }
  }

  /// What can be wrong with a queue, in the order in which it is found; all but the first two are EINVAL.
  private enum Mistake: Int, CaseIterable { case memory, server, priority, value }

  @Test("A11: of several mistakes the first is answered; qshift 0 comes before the flags")
  func queueOrder() throws {
    let machine = try Machine(cpus: 1, priorities: [])
    let rig = machine.rig
    for bits in 1..<1 << Mistake.allCases.count {
      let mistakes = Set(Mistake.allCases.filter { bits & 1 << $0.rawValue != 0 })
      var value = xive_eq(at: Machine.ram)
      if mistakes.contains(.value) { value.flags = 0 }
      let name = xive_eq_id(
        mistakes.contains(.server) ? 2 : 0, mistakes.contains(.priority) ? 7 : 6)
      let error: DeviceError =
        mistakes.contains(.memory) ? .badAddress : mistakes.contains(.server) ? .notFound : .invalid
      let before = DeliverySnapshot(rig)
      #expect(throws: error, "\(mistakes)") {
        if mistakes.contains(.memory) { return try rig.kvm(.set, group: queue, name, at: 0x1000) }
        try rig.set(queue, name, value, .pointer)
      }
      #expect(DeliverySnapshot(rig) == before, "\(mistakes)")
    }
    try machine.setQueue(0, 6)
    try rig.set(queue, xive_eq_id(0, 6), xive_eq())
    #expect(try machine.end(0, 6) == END())
  }

  @Test("A12: after a queue has gone a get writes nothing again", arguments: routes)
  func noQueue(route: PayloadRoute) throws {
    let machine = try Machine(cpus: 1, priorities: [6])
    #expect(try machine.rig.get(queue, xive_eq_id(0, 6), as: xive_eq.self, route).qshift == 16)
    try machine.rig.set(queue, xive_eq_id(0, 6), xive_eq(), route)
    let memory = FakeMemory(isWritable: false)
    switch route {
    case .pointer:
      try machine.rig.kvm(.get, group: queue, xive_eq_id(0, 6), at: 0, memory: memory)
      #expect(memory.accesses.isEmpty)
    case .inline:
      let payload = [UInt8](repeating: 0xa5, count: 112)
      let answer = try machine.rig.inline(
        xive_get_attr_request, group: queue, xive_eq_id(0, 6), payload)
      #expect(Array(answer[16...]) == payload)
    }
  }

  @Test(
    "A16: EQ_SYNC is 0 whatever there is, and changes nothing; what was triggered is in the queue")
  func synchronization() throws {
    let empty = Rig(existing: 0)
    try empty.kvm(.set, group: control, UInt64(KVM_DEV_XIVE_EQ_SYNC))
    let machine = try Machine(cpus: 2)
    try machine.start(1, on: 1, eisn: 0x61)
    try machine.trigger(1)
    let before = DeliverySnapshot(machine.rig)
    try machine.rig.kvm(.set, group: control, UInt64(KVM_DEV_XIVE_EQ_SYNC))
    #expect(DeliverySnapshot(machine.rig) == before)
    #expect(machine.entries(1, 2) == [0x8000_0061, 0])
  }

  /// The two names of the number of servers.
  private static let serverCounts: [(UInt32, UInt64)] = [
    (1, UInt64(KVM_DEV_XIVE_NR_SERVERS)), (XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_NR_SERVERS)),
  ]

  @Test("A17: NR_SERVERS is set once, by either name; the same value again is no change")
  func serversOnce() throws {
    for (group, attribute) in Self.serverCounts {
      for (other, otherAttribute) in Self.serverCounts {
        let rig = Rig(servers: 8)
        try rig.set(group, attribute, 3 as UInt32)
        try rig.set(other, otherAttribute, 3 as UInt32)
        let before = DeliverySnapshot(rig)
        for count: UInt32 in [1, 2, 4, 8, 16_384] {
          #expect(throws: DeviceError.busy) { try rig.set(other, otherAttribute, count) }
        }
        #expect(DeliverySnapshot(rig) == before)
        #expect(try rig.get(XIVE_GROUP_MACHINE, 1, as: UInt32.self) == 3)
      }
    }
    // More than there is room for is what there is room for, also the second time.
    let rig = Rig(servers: 8)
    for count: UInt32 in [16_384, 8, 9] { try rig.set(control, 3, count) }
    #expect(try rig.get(XIVE_GROUP_MACHINE, 1, as: UInt32.self) == 8)
    #expect(throws: DeviceError.busy) { try rig.set(control, 3, 7 as UInt32) }
  }

  @Test("A18: a second connection is EBUSY, another descriptor's to the same server EEXIST")
  func connections() throws {
    let machine = try Machine(cpus: 1)
    #expect(throws: DeviceError.busy) { try machine.connect(0) }
    #expect(throws: DeviceError.busy) {
      _ = try machine.rig.connect(Machine.opener(0), to: 1)
    }
    #expect(throws: DeviceError.exists) {
      _ = try machine.rig.connect(Machine.opener(1), to: 0)
    }
    try machine.connect(1)
  }

  // The kernel's device answers its owner's process alone, others with EIO. Here who could open the file may ask.
  @Test("A20: another process's descriptor is as good as the one that set up the machine")
  func otherProcess() throws {
    let machine = try Machine(cpus: 1)
    let other = Opener(id: 4_711, isWritable: true)
    try machine.rig.set(3, 1, xive_source_config(0, 6, 0x20, 0), by: other)
    try machine.rig.set(2, 6, 0 as UInt64, .pointer, by: other)
    try machine.rig.kvm(.has, group: control, 1, by: other)
    try machine.rig.kvm(
      .get, group: queue, xive_eq_id(0, 6), at: 0x9000, by: other)
    #expect(throws: DeviceError.unknownRequest) {
      _ = try machine.rig.control(0xae60, [], by: other)
    }
  }
}
