import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

private let queue = UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG)

/// Bugs that others had with attributes and vCPUs, numbered as in the project's list of them: that they are not here.
@Suite("Bugs that others had with attributes")
struct KnownAttributeBugTests {
  // QEMU unplugs a vCPU by a queue of size 0 and no flags; the kernel looked at the flags first.
  @Test("6.3: unplugging a vCPU as QEMU does, all zeros for each of its queues, works")
  func unplug() throws {
    for route in PayloadRoute.allCases {
      let machine = try Machine(cpus: 2, priorities: [0, 5, 6])
      for priority: UInt32 in [0, 1, 2, 3, 4, 5, 6] {
        try machine.rig.set(queue, xive_eq_id(1, priority), xive_eq(), route)
        #expect(try machine.end(1, priority) == END())
      }
      #expect(try machine.end(0, 6).isValid)
    }
  }

  // The kernel's device was torn down while vCPUs ran.
  @Test("6.5: a vCPU's descriptor may be closed and the device reset while events and accesses run")
  func closeWhileRunning() throws {
    let machine = try Machine(Rig(sources: 8, existing: 4, servers: 4), cpus: 2)
    let isDone = Atomic<Bool>(false)
    Threads.run(3) { thread in
      switch thread {
      case 0:
        for round in 0..<200 {
          machine.disconnect(1)
          if round % 2 == 0 { try? machine.rig.kvm(.set, group: 1, 1) }
          try? machine.connect(1)
          try? machine.setQueue(1, 6)
          try? machine.start(1, on: 1, eisn: 1)
        }
        isDone.store(true, ordering: .sequentiallyConsistent)
      case 1:
        while !isDone.load(ordering: .sequentiallyConsistent) {
          try? machine.trigger(1)
          try? machine.endMessage(1)
        }
      default:
        while !isDone.load(ordering: .sequentiallyConsistent) {
          _ = try? machine.acknowledge(1)
          _ = try? machine.rig.get(XIVE_GROUP_VP, 1, as: xive_vp.self)
        }
      }
    }
    // Everything works as before.
    machine.disconnect(1)
    try machine.rig.kvm(.set, group: 1, 1)
    try machine.connect(1)
    try machine.setQueue(1, 6)
    try machine.start(1, on: 1, eisn: 0x5a)
    try machine.trigger(1)
    #expect(machine.entry(1, at: 0) == 0x8000_005a)
    #expect(machine.guestErrors.cam_duplicate == 0)
  }

  /// What makes a queue leave its memory.
  enum Departure: CaseIterable { case again, size0, refusal, reset, unplug }

  // The kernel kept a reference to the old page: huge pages leaked with each reboot.
  @Test(
    "6.6: memory goes when its queues have gone and its slot is removed",
    arguments: Departure.allCases)
  func pageLeak(departure: Departure) throws {
    let machine = try Machine(cpus: 1, priorities: [])
    let rig = machine.rig
    weak var memory: SharedBytes?
    do {
      let shared = SharedBytes(byteCount: 2 * 65_536)
      memory = shared
      try rig.addMemory(7, at: 1 << 40, shared)
    }
    try rig.setQueue(0, 6, xive_eq(at: 1 << 40))
    switch departure {
    case .again: try rig.setQueue(0, 6, xive_eq(at: Machine.ram))
    case .size0: try rig.setQueue(0, 6, xive_eq())
    case .refusal:
      #expect(throws: DeviceError.invalid) { try rig.setQueue(0, 6, xive_eq(at: 1 << 40, 2)) }
    case .reset: try rig.kvm(.set, group: 1, 1)
    case .unplug: machine.disconnect(0)
    }
    #expect(memory != nil, "the slot has it")
    try rig.removeMemory(7)
    #expect(memory == nil)
    #expect(try machine.end(0, 6).isValid == (departure == .again))
  }

  // A device that failed half-way was left behind, and no other could be created.
  @Test("6.7: a refused connection leaves nothing behind; the next one works")
  func refusedConnection() throws {
    let rig = Rig(servers: 4)
    let opener = Machine.opener(0)
    for _ in 0..<3 {
      rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
        _ = try rig.connect(opener, to: 4)
      }
      rig.expectNothingChanged(.badDescriptor) { () throws(DeviceError) in
        _ = try rig.connect(opener, to: 0, naming: 77)
      }
      rig.expectNothingChanged(.invalid) { () throws(DeviceError) in
        _ = try rig.connect(opener, to: 0, flags: 1)
      }
    }
    _ = try rig.connect(opener, to: 0)
    rig.expectNothingChanged(.exists) { () throws(DeviceError) in
      _ = try rig.connect(Machine.opener(1), to: 0)
    }
    _ = try rig.connect(Machine.opener(1), to: 1)
  }

  // 348 and 2392 were packed to one VP; here each server number is its own.
  @Test("6.8: numbers that pack equal are two servers, each with its own registers, or refused")
  func forgedNumbers() throws {
    let rig = Rig(servers: 2_400)
    let memory = SharedBytes(byteCount: 2 * 65_536)
    try rig.addMemory(0, at: Machine.ram, memory)
    for (index, server) in [UInt32(348), 2_392].enumerated() {
      try rig.connect(Machine.opener(server), to: UInt64(server))?.completion()
      try rig.setQueue(server, 6, xive_eq(at: Machine.ram + UInt64(index) * 65_536))
      try rig.set(3, UInt64(index), xive_source_config(server, 6, 0x80 + UInt32(index), 0))
      rig.setPQ(UInt32(index), .reset)
      try rig.store(rig.tima(server, .os) + 0x11, [0xff])
      #expect(throws: DeviceError.exists) {
        _ = try rig.connect(Machine.opener(9_999), to: UInt64(server))
      }
    }
    try rig.store(rig.offset(1, .trigger))
    #expect(try rig.load(rig.tima(2_392, .os) + 0x810, byteCount: 2) == 0x8006)
    #expect(try rig.load(rig.tima(348, .os) + 0x810, byteCount: 2) == 0x00ff)
    #expect(memory.entry(at: 0) == 0 && memory.entry(at: 65_536) == 0x8000_0081)
    let small = Rig(servers: 2_000)
    #expect(throws: DeviceError.invalid) { _ = try small.connect(Machine.opener(1), to: 2_392) }
  }

  // The kernel checked the number before it was packed. Here it is the number, and NR_SERVERS its limit.
  @Test("6.9: with NR_SERVERS set, exactly the numbers below it connect")
  func serverNumbers() throws {
    let rig = Rig(servers: 64)
    try rig.set(1, 3, 33 as UInt32)
    for server in UInt64(0)..<64 {
      let opener = Machine.opener(UInt32(server))
      guard server >= 33 else {
        _ = try rig.connect(opener, to: server)
        continue
      }
      #expect(throws: DeviceError.invalid) { _ = try rig.connect(opener, to: server) }
    }
  }

  // QEMU cut the queue's address off at 64 GB.
  @Test("6.20: a queue far above 64 GB gets its entries, and what it gets is what was set")
  func highQueue() throws {
    for address: UInt64 in [1 << 36, 1 << 37 | 1 << 20, 0xfff_ffff_fff0_0000] {
      let machine = try Machine(cpus: 1, priorities: [])
      let low = SharedBytes(byteCount: 65_536)
      let far = SharedBytes(byteCount: 65_536)
      try machine.rig.addMemory(1, at: address & 0xf_ffff_ffff | 1 << 30, low)
      try machine.rig.addMemory(2, at: address, far)
      try machine.rig.setQueue(0, 6, xive_eq(at: address))
      let value = try machine.rig.get(queue, xive_eq_id(0, 6), as: xive_eq.self)
      #expect(value.qaddr == address)
      try machine.start(1, on: 0, eisn: 0x20)
      try machine.trigger(1)
      #expect(far.entry(at: 0) == 0x8000_0020)
      #expect(low.entry(at: 0) == 0 && machine.entry(0, 0, at: 0) == 0)
    }
  }

  // QEMU set its regions up anew with each change of the interrupt mode, and stopped at an assertion.
  @Test("6.21: reset, connected and disconnected fifty times, it is as at the first time")
  func manyResets() throws {
    let machine = try Machine(cpus: 0)
    let rig = machine.rig
    var first: [TIMA]?
    for round in UInt32(0)..<50 {
      for server: UInt32 in [0, 1] {
        try machine.connect(server)
        try machine.setQueue(server, 6)
      }
      try machine.start(1, on: round & 1, eisn: round)
      try machine.trigger(1)
      #expect(machine.entry(round & 1, at: 0) == 0x8000_0000 | round)
      #expect(try machine.acknowledge(round & 1) == 0x8006)
      #expect(rig.resolves(rig.offset(1, .trigger)) && rig.resolves(rig.tima(0, .os)))
      for server: UInt32 in [0, 1] { machine.disconnect(server) }
      try rig.kvm(.set, group: 1, 1)
      try rig.addMemory(0, at: Machine.ram, machine.memory)
      for server: UInt32 in [0, 1] { try machine.connect(server) }
      let threads = DeliverySnapshot(rig).threads
      #expect(threads == first ?? threads, "round \(round)")
      first = threads
      for server: UInt32 in [0, 1] { machine.disconnect(server) }
    }
  }

  // Four peculiarities of the kernel's attributes. Kept: a get without a queue writes nothing, an LSI stays one. Not
  // kept: numbers that are cut off, a mask that is not looked at.
  @Test("6.33: a source's number is not cut off to 32 bits")
  func truncation() throws {
    let machine = try Machine(cpus: 1)
    for group: UInt32 in [3, 5] {
      machine.rig.expectNothingChanged(.notFound) { () throws(DeviceError) in
        try machine.rig.set(group, 1 << 32 | 1, xive_source_config(0, 6, 1, 0))
      }
    }
  }

  @Test("6.33: the mask counts though nothing else changes, and its absence, too")
  func mask() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x33)
    for isMasked in [true, false] {
      try machine.route(1, to: 0, eisn: 0x33, isMasked: isMasked)
      try machine.trigger(1)
      try machine.endMessage(1)
      #expect(machine.counts.masked == 1 && machine.counts.entries == (isMasked ? 0 : 1))
    }
  }

  @Test("6.33: a get without a queue leaves the caller's bytes as they were")
  func untouched() throws {
    let machine = try Machine(cpus: 1, priorities: [])
    let memory = FakeMemory(isWritable: false)
    try machine.rig.kvm(.get, group: queue, xive_eq_id(0, 3), at: 0x9000, memory: memory)
    #expect(memory.accesses.isEmpty)
  }

  @Test(
    "6.33: an LSI stays one when it is created again as a message; only starting over ends that")
  func stickyLSI() throws {
    let rig = Rig(existing: 0)
    try rig.set(2, 1, 3 as UInt64)
    try rig.set(2, 1, 0 as UInt64)
    #expect(rig.states[1] == 0b1_1101)
    _ = try rig.connect(Rig.writer, to: 0)
    try rig.kvm(.set, group: 1, 1)
    #expect(rig.states[1] == 0b1_1101, "as in the kernel")
    rig.device.closed(Rig.writer)?.completion()
    try rig.kvm(.set, group: 1, 1)
    #expect(rig.states[1] == 0b1_0001)
  }
}
