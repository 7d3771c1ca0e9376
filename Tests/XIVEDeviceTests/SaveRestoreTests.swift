import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// A machine as a VMM saves it by KVM's requests alone.
struct SavedMachine {
  /// By which bits a VMM keeps the sources quiet meanwhile.
  enum Sequence: CaseIterable {
    /// As the kernel documents it: PQ 01. What arrives later is lost.
    case documented
    /// As QEMU does it: PQ 10, which counts what arrives later.
    case qemu
  }

  var pq: [UInt64] = []
  var queues: [xive_eq] = []
  var vps: [UInt64] = []
  var memory: [[UInt32]] = []

  /// Saves sources and vCPUs; `meanwhile` is what others do while it stands.
  init(
    _ machine: Machine, sources: UInt32, cpus: UInt32, _ sequence: Sequence,
    meanwhile: () throws -> Void = {}
  ) throws {
    for source in 0..<sources {
      let offset: UInt64 = sequence == .documented ? 0xd00 : 0xe00
      let old = try machine.load(source, at: 0x800)
      // What is off stays off.
      if old != 1 { #expect(try machine.load(source, at: offset) == old) }
      pq.append(old)
    }
    try meanwhile()
    try machine.rig.set(1, UInt64(KVM_DEV_XIVE_EQ_SYNC), UInt64(0))
    for server in 0..<cpus {
      queues.append(try machine.rig.get(4, xive_eq_id(server, 6), as: xive_eq.self, .pointer))
      vps.append(try machine.vpState(server))
      memory.append((0..<16_384).map { machine.entry(server, at: $0) })
    }
    guard sequence == .qemu else { return }
    // The last look: a source that was quiet and has had an event since is 11.
    for source in pq.indices where pq[source] == 0 {
      if try machine.load(UInt32(source), at: 0x800) == 3 { pq[source] = 4 }
    }
  }

  /// Restores a new machine, whose sources are created and routed by `configure`.
  func restore(_ machine: Machine, configure: () throws -> Void) throws {
    for server in queues.indices {
      let place = Int(Machine.queueAddress(UInt32(server), 6) - Machine.ram)
      for index in memory[server].indices {
        machine.memory.setEntry(memory[server][index], at: place + 4 * index)
      }
      try machine.rig.setQueue(UInt32(server), 6, queues[server])
    }
    try configure()
    for server in vps.indices { try machine.setVPState(UInt32(server), vps[server]) }
    for source in pq.indices {
      let isRetriggered = pq[source] == 4
      try machine.load(UInt32(source), at: 0xc00 + (isRetriggered ? 0 : pq[source] << 8))
      if isRetriggered { try machine.trigger(UInt32(source)) }
    }
  }
}

extension Machine {
  /// `KVM_GET_ONE_REG` with `KVM_REG_PPC_VP_STATE`.
  func vpState(_ server: UInt32) throws(DeviceError) -> UInt64 {
    let memory = FakeMemory()
    let words = XIVE_REG_VP_STATE.memoryBytes + UInt64(0x9000).memoryBytes
    _ = try rig.control(0x4010_aeab, words, by: Self.opener(server), memory: memory)
    guard case .write(0x9000, let bytes) = memory.accesses.first else { throw .badAddress }
    return UInt64(bigEndian: bytes.value(at: 0))
  }

  /// `KVM_SET_ONE_REG`.
  func setVPState(_ server: UInt32, _ value: UInt64) throws(DeviceError) {
    let memory = FakeMemory([0x9000: value.bigEndian.memoryBytes + UInt64(0).memoryBytes])
    let words = XIVE_REG_VP_STATE.memoryBytes + UInt64(0x9000).memoryBytes
    _ = try rig.control(0x4010_aeac, words, by: Self.opener(server), memory: memory)
  }
}

@Suite("L1: save and restore by the kernel's calls")
struct SaveRestoreTests {
  private static let sources: UInt32 = 10
  private static let levels: Set<UInt32> = [5, 6]

  private func new() throws -> Machine {
    try Machine(Rig(sources: 16, existing: 0, servers: 3), cpus: 3)
  }

  /// Creates and routes the sources, as a VMM does that knows what its guest has set up.
  private func configure(_ machine: Machine) throws {
    for source in 0..<Self.sources {
      let isLevel = Self.levels.contains(source)
      let flags: UInt64 = (isLevel ? 1 : 0) | (source == 5 ? 2 : 0)
      try machine.rig.set(2, UInt64(source), flags)
      try machine.route(
        source, to: source == 7 ? 2 : source % 2, eisn: source, isMasked: source == 3)
    }
  }

  /// A machine in the midst of traffic: 0 queued, 1 pending, 2 quiet, 3 masked, 4 off, 5 an LSI that is asserted and
  /// pending, 6 an LSI that is neither, 7 pending in the backlog of a vCPU that does not run, 8 and 9 quiet.
  private func busy() throws -> Machine {
    let machine = try new()
    try configure(machine)
    for cpu: UInt32 in 0..<3 { try machine.setCPPR(cpu, 0xff) }
    for source in 0..<Self.sources where source != 4 { machine.rig.setPQ(source, .reset) }
    // The queue has wrapped and stands in its midst.
    try machine.setQueue(0, 6, toggle: 0, index: 77)
    try machine.setQueue(1, 6, toggle: 1, index: 16_383)
    try machine.pull(2)
    for source: UInt32 in [0, 0, 0, 1, 3, 7] { try machine.trigger(source) }
    try machine.rig.setLine(5, 1)
    // vCPU 1 has taken its interrupt, and not come to its entries.
    try machine.acknowledge(1)
    return machine
  }

  @Test(
    "Queued, pending, masked, off, asserted, in the backlog: the guest goes on elsewhere as here",
    arguments: SavedMachine.Sequence.allCases)
  func move(sequence: SavedMachine.Sequence) throws {
    let first = try busy()
    let saved = try SavedMachine(first, sources: Self.sources, cpus: 3, sequence)
    #expect(saved.pq == [3, 2, 0, 2, 1, 2, 0, 2, 0, 0])
    #expect(saved.queues.map(\.qindex) == [78, 1, 1])
    #expect(saved.queues.map(\.qtoggle) == [0, 0, 1])
    #expect(saved.vps[2] >> 40 & 0xff == 2, "the backlog of the vCPU that does not run")
    let second = try new()
    try saved.restore(second) { try configure(second) }
    for source in 0..<Self.sources {
      #expect(try second.load(source, at: 0x800) == saved.pq[Int(source)], "PQ of \(source)")
    }
    #expect(try second.rig.record(5).flags == 0x1e)
    try expectContinuation(second)
  }

  /// What a guest sees from there on, whichever machine it is on.
  private func expectContinuation(_ machine: Machine) throws {
    // vCPU 0: one interrupt, entry 77 of source 0, which had one more event.
    #expect(try machine.state(0) == 0x80ff_0206)
    #expect(try machine.acknowledge(0) == 0x8006)
    #expect(machine.entry(0, at: 77) == 0)
    #expect(try machine.load(0, at: 0) == 1)
    #expect(machine.entry(0, at: 78) == 0, "with toggle 0")
    #expect(try machine.end(0, 6).queueIndex == 79)
    #expect(try machine.load(0, at: 0) == 0)
    // vCPU 1 is in its handler: source 1 in the last place, source 5 in the first.
    #expect(try machine.state(1) == 0x0006_00ff)
    #expect(machine.entry(1, at: 16_383) == 0x8000_0001)
    #expect(machine.entry(1, at: 0) == 5)
    #expect(try machine.load(1, at: 0) == 0)
    #expect(try machine.load(5, at: 0) == 1, "the line is high")
    #expect(machine.entry(1, at: 1) == 5)
    try machine.rig.setLine(5, 0)
    #expect(try machine.load(5, at: 0) == 0)
    #expect(try machine.state(1) == 0x0006_0206, "waits until it leaves its handler")
    try machine.setCPPR(1, 0xff)
    #expect(try machine.state(1) == 0x80ff_0206)
    // vCPU 2 had its event in the backlog.
    #expect(try machine.state(2) == 0x80ff_0206)
    #expect(machine.entry(2, at: 0) == 0x8000_0007)
    #expect(try machine.load(7, at: 0) == 0)
    // Masked and off: nothing came, nothing comes.
    #expect(try machine.load(3, at: 0) == 0)
    try machine.trigger(3)
    try machine.trigger(4)
    #expect(machine.counts.entries == 2, "none but those of sources 0 and 5")
    // What was quiet is alive.
    try machine.trigger(2)
    #expect(machine.entry(0, at: 79) == 2)
  }

  @Test("L1, L2: triggers that arrive while QEMU has the sources at 10 come once, here or there")
  func arrivals() throws {
    for isHere in [true, false] {
      let first = try busy()
      let saved = try SavedMachine(first, sources: Self.sources, cpus: 3, .qemu) {
        for source: UInt32 in [1, 2, 4, 8, 8] { try first.trigger(source) }
      }
      let entries = first.counts.entries
      #expect(saved.pq == [3, 2, 4, 2, 1, 2, 0, 2, 4, 0])
      let machine = isHere ? first : try new()
      if isHere {
        // As QEMU lets the same machine run again.
        for source in 0..<Self.sources where saved.pq[Int(source)] != 1 {
          let pq = saved.pq[Int(source)] & 3
          let old = try machine.load(source, at: 0xc00 + pq << 8)
          if pq == 0, old == 3 { try machine.trigger(source) }
        }
      } else {
        try saved.restore(machine) { try configure(machine) }
      }
      #expect(machine.counts.entries == (isHere ? entries : 0) + 2)
      #expect(machine.entry(0, at: 78) == 2 && machine.entry(0, at: 79) == 8)
      for source: UInt32 in [2, 8] { #expect(try machine.load(source, at: 0) == 0) }
      #expect(machine.counts.entries == (isHere ? entries : 0) + 2, "once")
    }
  }
}
