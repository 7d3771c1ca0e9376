import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

private let config = UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG)
private let sync = UInt32(KVM_DEV_XIVE_GRP_SOURCE_SYNC)

@Suite("Groups SOURCE_CONFIG and SOURCE_SYNC: where events go")
struct SourceConfigTests {
  private static let routes = PayloadRoute.allCases

  /// Of 2,048 sources 3 exist; server 0 has a queue at priority 6, server 1 none.
  private func machine() throws -> Machine {
    let rig = Rig(sources: 2_048, existing: 3, servers: 4)
    let machine = try Machine(rig, cpus: 2, priorities: [])
    try machine.setQueue(0, 6)
    return machine
  }

  private func refuse(
    _ error: DeviceError, _ machine: Machine, _ attribute: UInt64, _ value: UInt64,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let before = machine.rig.device.router.eas(of: LISN(rawValue: 1))
    for route in Self.routes {
      machine.rig.expectNothing(error, "\(route)", sourceLocation: sourceLocation) {
        () throws(DeviceError) in
        try machine.rig.set(config, attribute, value, route)
      }
    }
    #expect(
      machine.rig.device.router.eas(of: LISN(rawValue: 1)) == before,
      sourceLocation: sourceLocation)
  }

  private static func end(_ server: UInt32, _ priority: UInt32) -> UInt32 {
    UInt32(xive_end_index(server, priority))
  }

  /// The END that a source's events go to; nil while they are dropped.
  private func place(_ machine: Machine, _ source: UInt32) -> UInt32? {
    let eas = machine.rig.device.router.eas(of: LISN(rawValue: source))
    return eas.isValid && !eas.isMasked ? eas.end.rawValue : nil
  }

  @Test("A8: block, source, memory, priority, server and queue are looked at in this order")
  func order() throws {
    let machine = try machine()
    let bad = xive_source_config(9, 7, 0, 0)
    for attribute: UInt64 in [1_024, 2_047, 2_048, 1 << 20, 1 << 32, 1 << 32 | 1, .max] {
      refuse(.notFound, machine, attribute, bad)
      machine.rig.expectNothing(.notFound) { () throws(DeviceError) in
        try machine.rig.kvm(.set, group: config, attribute, at: 0x1000)
      }
    }
    refuse(.invalid, machine, 3, xive_source_config(0, 6, 0, 0))
    machine.rig.expectNothing(.invalid) { () throws(DeviceError) in
      try machine.rig.kvm(.set, group: config, 3, at: 0x1000)
    }
    machine.rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try machine.rig.kvm(.set, group: config, 1, at: 0x1000)
    }
    for attribute: UInt64 in [1, 3, 1_024, .max] {
      machine.rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try machine.rig.set(config, attribute, bad, by: Rig.reader)
      }
    }
    for isMasked: Int32 in [0, 1] {
      refuse(.invalid, machine, 1, xive_source_config(0, 7, 0x55, isMasked))
    }
    // EBUSY is for servers that are known.
    for server: UInt32 in [2, 3, 4, 16_384, 1 << 25, 0x1fff_ffff] {
      refuse(.invalid, machine, 1, xive_source_config(server, 5, 0x55, 0))
    }
    for server: UInt32 in [0, 1] {
      refuse(.busy, machine, 1, xive_source_config(server, 5, 0x55, 0))
    }
  }

  @Test("An unknown server is EINVAL also where its queue's number, cut off, is the source's own")
  func wrappedServer() throws {
    let machine = try machine()
    try machine.route(1, to: 0, eisn: 0x55)
    refuse(.invalid, machine, 1, xive_source_config(1 << 25, 6, 0x55, 0))
  }

  @Test("A9: PQ stays, whatever is configured", arguments: PQ.allCases)
  func pq(pq: PQ) throws {
    let machine = try machine()
    machine.rig.setPQ(1, pq)
    for isMasked in [false, true, false] {
      try machine.route(1, to: 0, eisn: 0x55, isMasked: isMasked)
      #expect(machine.rig.pq(1) == pq)
    }
    #expect(machine.rig.device.events.count == 0)
  }

  @Test("Server, priority and number are where and as what events arrive")
  func fields() throws {
    let machine = try machine()
    for priority in UInt32(0)...6 {
      for server in UInt32(0)..<2 {
        try machine.setQueue(server, priority)
        let eisn: UInt32 = 0x7fff_fff0 | server << 3 | priority
        try machine.start(2, on: server, priority, eisn: eisn)
        try machine.trigger(2)
        #expect(machine.entry(server, priority, at: 0) == 1 << 31 | eisn)
        #expect(try machine.acknowledge(server) == 0x8000 | UInt64(priority))
      }
    }
  }

  @Test("A10, R2: the mask bit drops events without a word, PQ stays pending")
  func masked() throws {
    let machine = try machine()
    try machine.start(1, on: 0, eisn: 0x55)
    // Differs from the kernel, which does not look at the mask where nothing else changes.
    try machine.route(1, to: 0, eisn: 0x55, isMasked: true)
    try machine.trigger(1)
    #expect(machine.rig.pq(1) == .pending)
    #expect(machine.entry(0, at: 0) == 0)
    #expect(machine.counts.masked == 1 && machine.counts.entries == 0)
    #expect(try machine.state(0) == 0x00ff_00ff)
    #expect(machine.rig.device.watch.guestErrors.sum == 0)
    // A masked source's server does not matter.
    try machine.route(1, to: 4_711, 5, eisn: 0x55, isMasked: true)
    try machine.endMessage(1)
    try machine.route(1, to: 0, eisn: 0x56)
    try machine.trigger(1)
    #expect(machine.entries(0, 2) == [0x8000_0056, 0])
  }

  @Test("A source that nobody has routed drops its events without a word")
  func fresh() throws {
    let machine = try machine()
    machine.rig.setPQ(1, .reset)
    try machine.trigger(1)
    #expect(machine.counts.masked == 1)
    #expect(machine.rig.device.watch.guestErrors.sum == 0)
  }

  @Test("Where the wanted vCPU has no such queue, the first that has takes its place")
  func otherServer() throws {
    let rig = Rig(sources: 8, existing: 4, servers: 6)
    let machine = try Machine(rig, cpus: 5, priorities: [])
    for server: UInt32 in [4, 3, 2] { try machine.setQueue(server, 5) }
    try machine.setQueue(0, 6)
    try machine.route(1, to: 1, 5, eisn: 1)
    #expect(place(machine, 1) == Self.end(2, 5))
    try machine.route(1, to: 3, 5, eisn: 1)
    #expect(place(machine, 1) == Self.end(3, 5))
    // Asked for again, the wanted one is tried again.
    try machine.setQueue(1, 5)
    try machine.route(1, to: 1, 5, eisn: 1)
    #expect(place(machine, 1) == Self.end(1, 5))
    // A vCPU that has gone is nobody's substitute.
    try machine.route(2, to: 0, 5, eisn: 2)
    #expect(place(machine, 2) == Self.end(1, 5))
    machine.disconnect(1)
    machine.disconnect(2)
    try machine.route(2, to: 0, 5, eisn: 3)
    #expect(place(machine, 2) == Self.end(3, 5))
  }

  /// A queue of 1,024 entries on servers 0 and 1, and of each enough sources to fill both.
  private func crowd() throws -> Machine {
    let rig = Rig(sources: 2_048, existing: 2_048, servers: 4)
    let machine = try Machine(rig, cpus: 2, priorities: [])
    for server: UInt32 in [0, 1] {
      var end = Machine.end(server, 6)
      end.w0 &= ~XIVE_END_W0_QSIZE
      try machine.setEND(server, 6, end)
    }
    for source in UInt32(0)..<1_022 { try machine.route(source, to: 0, eisn: source) }
    return machine
  }

  @Test("A queue takes two sources less than it has entries, then another vCPU's does")
  func full() throws {
    let machine = try crowd()
    #expect((0..<1_022).allSatisfy { place(machine, $0) == 6 })
    try machine.route(1_022, to: 0, eisn: 1)
    #expect(place(machine, 1_022) == Self.end(1, 6))
    for source in UInt32(1_023)..<2_044 { try machine.route(source, to: 0, eisn: source) }
    #expect((1_022..<2_044).allSatisfy { place(machine, $0) == Self.end(1, 6) })
    for server: UInt32 in [0, 1] {
      refuse(.busy, machine, 2_044, xive_source_config(server, 6, 1, 0))
    }
    // A source that is there stays there.
    try machine.route(5, to: 0, eisn: 0x5555)
    #expect(place(machine, 5) == 6)
    try machine.route(1_500, to: 0, eisn: 0x5556)
    #expect(place(machine, 1_500) == Self.end(1, 6))
  }

  /// What makes a source leave its queue.
  enum Departure: CaseIterable { case mask, otherPriority, creation, reset }

  @Test("A source that leaves a queue makes room, once", arguments: Departure.allCases)
  func room(departure: Departure) throws {
    let machine = try crowd()
    for source in UInt32(1_022)..<2_044 { try machine.route(source, to: 0, eisn: source) }
    switch departure {
    case .mask:
      for _ in 0..<2 { try machine.route(3, to: 0, eisn: 3, isMasked: true) }
    case .otherPriority:
      try machine.setQueue(0, 5)
      try machine.route(3, to: 0, 5, eisn: 3)
    case .creation: for _ in 0..<2 { machine.rig.create(3) }
    case .reset:
      try machine.rig.set(1, UInt64(KVM_DEV_XIVE_RESET), 0 as UInt64)
      var end = Machine.end(0, 6)
      end.w0 &= ~XIVE_END_W0_QSIZE
      try machine.setEND(0, 6, end)
      for source in UInt32(0)..<1_021 { try machine.route(source, to: 0, eisn: source) }
    }
    try machine.route(2_045, to: 0, eisn: 1)
    #expect(place(machine, 2_045) == 6)
    refuse(.busy, machine, 2_046, xive_source_config(0, 6, 1, 0))
  }

  @Test("A source that is created again has lost its route")
  func creation() throws {
    let machine = try machine()
    try machine.start(1, on: 0, eisn: 0x55)
    machine.rig.create(1)
    machine.rig.setPQ(1, .reset)
    try machine.trigger(1)
    #expect(machine.counts.masked == 1 && machine.counts.entries == 0)
  }

  @Test("Exactly the sources of the table exist as attributes; they cannot be got")
  func has() throws {
    let machine = try machine()
    for group in [config, sync] {
      for attribute: UInt64 in [0, 3, 1_024, 2_047] {
        try machine.rig.kvm(.has, group: group, attribute, by: Rig.reader)
        machine.rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
          try machine.rig.kvm(.get, group: group, attribute, at: 0x9000)
        }
      }
      for attribute: UInt64 in [2_048, 1 << 20, 1 << 32, .max] {
        machine.rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
          try machine.rig.kvm(.has, group: group, attribute)
        }
      }
    }
  }

  @Test("SYNC: ENOENT without a block, EINVAL without a source; nothing is read")
  func syncErrors() throws {
    let machine = try machine()
    for (attribute, error) in [
      (UInt64(3), DeviceError.invalid), (1_023, .invalid), (1_024, .notFound), (2_048, .notFound),
      (1 << 32 | 1, .notFound), (.max, .notFound),
    ] {
      machine.rig.expectNothing(error) { () throws(DeviceError) in
        try machine.rig.kvm(.set, group: sync, attribute)
      }
    }
    machine.rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
      try machine.rig.kvm(.set, group: sync, 1, by: Rig.reader)
    }
    let memory = FakeMemory()
    try machine.rig.kvm(.set, group: sync, 1, memory: memory)
    #expect(memory.accesses.isEmpty)
  }

  /// Requests that wait for events which are under way.
  private static let synchronizing: [(UInt32, UInt64)] = [
    (sync, 1), (1, UInt64(KVM_DEV_XIVE_EQ_SYNC)), (1, UInt64(KVM_DEV_XIVE_RESET)),
  ]

  @Test(
    "SYNC, EQ_SYNC and RESET return when events that are under way are in their queues",
    arguments: synchronizing)
  func waits(group: UInt32, attribute: UInt64) throws {
    let machine = try machine()
    let hasReturned = Atomic<Bool>(false)
    let returnedEarly = Atomic<Bool>(false)
    let cell = machine.rig.device.gate.enter(stripe: 3)
    Threads.run(2) { thread in
      if thread == 0 {
        let isEarly = Threads.sees { hasReturned.load(ordering: .sequentiallyConsistent) }
        returnedEarly.store(isEarly, ordering: .sequentiallyConsistent)
        machine.rig.device.gate.leave(cell)
      } else {
        try? machine.rig.set(group, attribute, 0 as UInt64)
        hasReturned.store(true, ordering: .sequentiallyConsistent)
      }
    }
    let isEarly = returnedEarly.load(ordering: .sequentiallyConsistent)
    #expect(!isEarly, "an access is under way")
  }
}
