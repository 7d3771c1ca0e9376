import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Starting over")
struct LifecycleTests {
  private func reset(_ rig: Rig) throws {
    try rig.set(UInt32(KVM_DEV_XIVE_GRP_CTRL), UInt64(KVM_DEV_XIVE_RESET), UInt64(0))
  }

  /// Sets up all that a VMM can, each time otherwise, and leaves it in the midst of traffic.
  private func use(_ rig: Rig, _ round: UInt32, _ memory: SharedBytes) throws {
    let servers = 2 + round % 3
    try rig.set(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_NR_SERVERS), servers)
    try rig.set(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_NR_SOURCES), 8 + round % 2)
    let base = UInt64(1 + round) << 40
    try rig.set(XIVE_GROUP_ADDRESS, UInt64(XIVE_ADDRESS_TIMA), base)
    try rig.set(XIVE_GROUP_ADDRESS, UInt64(XIVE_ADDRESS_ESB), 2 * base)
    var vp = xive_vp()
    vp.state.0 = (0x00ff_2000_ff00_0000 as UInt64).bigEndian
    try rig.set(XIVE_GROUP_VP, 1, vp)
    let address = Machine.ram + UInt64(round) << 16
    let slot = UInt64(round % 32)
    try rig.set(
      XIVE_GROUP_MEMORY, slot,
      xive_memory(gpa: address, size: 65_536, fd: 9, zero: 0, offset: 0), sharing: [9: memory])
    let vcpu = Machine.opener(0)
    try rig.connect(vcpu, to: UInt64(round % 2))?.completion()
    try rig.setQueue(round % 2, 6, xive_eq(at: address))
    for source: UInt32 in 0..<8 { rig.create(source, isLSI: source == round % 8, isAsserted: true) }
    let config = xive_source_config(round % 2, 6, round, 0)
    try rig.set(UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG), UInt64(7 - round % 8), config)
    rig.setPQ(7 - round % 8, .reset)
    try rig.addRoute(1, 0x1000, round, to: 7 - round % 8)
    #expect(try rig.signal(0x1000, round, from: 1) == 1)
    let level = round % 8
    try rig.irqfd(level, FakeEvent(1, count: 1), resample: FakeEvent(2), by: vcpu)
    rig.device.closed(vcpu)?.completion()
  }

  /// What a VMM that comes finds.
  private func expectNew(_ rig: Rig, _ comment: Comment) throws {
    for source: UInt32 in 0..<8 {
      #expect(try rig.record(source) == StateRecord(flags: 0x11), comment)
    }
    #expect(rig.believedSources.isEmpty && rig.injected.irqfds == 0, comment)
    let sizes = [XIVE_MACHINE_NR_SOURCES, XIVE_MACHINE_NR_SERVERS].map {
      try? rig.get(XIVE_GROUP_MACHINE, UInt64($0), as: UInt32.self)
    }
    #expect(sizes == [9, 4], comment)
    for window: UInt64 in 0...1 {
      #expect(throws: DeviceError.noSuchAttribute, comment) {
        try rig.get(XIVE_GROUP_ADDRESS, window, as: xive_address.self)
      }
    }
    for server: UInt64 in 0..<4 {
      let vp = try rig.get(XIVE_GROUP_VP, server, as: xive_vp.self)
      #expect(UInt64(bigEndian: vp.state.0) == 0xff00_0000 && vp.flags == 0, comment)
      let end = try rig.get(XIVE_GROUP_END, server * 8 + 6, as: xive_end.self)
      #expect(END(end).isValid == false, comment)
    }
    for slot: UInt64 in 0..<32 {
      #expect(throws: DeviceError.notFound, comment) {
        try rig.get(XIVE_GROUP_MEMORY, slot, as: xive_memory.self)
      }
    }
    #expect(throws: DeviceError.notFound, comment) { try rig.signal(0x1000, 1, from: 1) }
  }

  @Test("L3: 50 virtual machines one after the other, each finds a new device")
  func again() throws {
    let rig = Rig(sources: 9, existing: 8, servers: 4)
    let memory = SharedBytes(byteCount: 65_536)
    for round: UInt32 in 0..<50 {
      try expectNew(rig, "\(round)")
      try use(rig, round, memory)
      try reset(rig)
    }
    try expectNew(rig, "at last")
  }

  @Test("While a vCPU is connected RESET leaves what the VMM has set up, and the vCPU")
  func connected() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try machine.startLevel(2, eisn: 2)
    try rig.addRoute(1, 0x1000, 0, to: 1)
    try reset(rig)
    #expect(rig.state(2).isLSI)
    #expect(try rig.signal(0x1000, 0, from: 1) == 0)
    try machine.setQueue(0, 6)
    #expect(try machine.state(0) == 0x00ff_00ff)
  }

  /// Machines in the same state, with sources in every state of PQ, one masked, one level.
  private func busy() throws -> Machine {
    let machine = try Machine(Rig(sources: 8, existing: 6), cpus: 2, priorities: [5, 6])
    for source: UInt32 in 0..<4 {
      try machine.start(source, on: source % 2, source < 2 ? 5 : 6, eisn: source)
      try machine.trigger(source)
      machine.rig.setPQ(source, PQ(rawValue: UInt8(source)))
    }
    machine.rig.setPQ(4, .queued)
    try machine.startLevel(5, on: 1, eisn: 5)
    try machine.rig.setLine(5, 1)
    return machine
  }

  @Test("L4: RESET does what a guest's own reset does, source by source and queue by queue")
  func guestReset() throws {
    let (byDevice, byGuest) = (try busy(), try busy())
    try reset(byDevice.rig)
    for source: UInt32 in 0..<6 {
      try byGuest.load(source, at: 0xd00)
      try byGuest.route(source, to: 0, eisn: 0, isMasked: true)
    }
    for server: UInt32 in 0..<2 {
      for priority: UInt32 in [5, 6] { try byGuest.rig.setQueue(server, priority, xive_eq()) }
    }
    for machine in [byDevice, byGuest] {
      for source: UInt32 in 0..<5 {
        #expect(try machine.rig.record(source) == StateRecord(flags: 0x11))
      }
      #expect(try machine.rig.record(5) == StateRecord(flags: 0x1d), "its line is the device's")
      #expect(machine.rig.believedSources.isEmpty)
      for end in 0..<UInt64(16) {
        let words = END(try machine.rig.get(XIVE_GROUP_END, end, as: xive_end.self))
        #expect(!words.isValid && !words.isEnqueued)
      }
      let entries = machine.counts.entries
      for source: UInt32 in 0..<6 { try machine.trigger(source) }
      #expect(machine.counts.entries == entries)
      // And it can begin anew, from the queue's beginning.
      try machine.setQueue(1, 6)
      try machine.start(1, on: 1, eisn: 0x51)
      try machine.trigger(1)
      #expect(machine.entry(1, at: 0) == 0x8000_0051)
    }
    #expect(try byDevice.rig.allState() == byGuest.rig.allState())
    #expect(byDevice.rig.states == byGuest.rig.states)
    for server: UInt32 in 0..<2 {
      #expect(try byDevice.vpState(server) == byGuest.vpState(server))
    }
  }
}
