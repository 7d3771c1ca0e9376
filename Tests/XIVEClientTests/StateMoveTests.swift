import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

/// Two machines of one guest: the one that it leaves, and the one that it goes to, with the same memory.
private struct Move: ~Copyable {
  static let options = ["--sources", "64", "--create", "0-31", "--create", "40-43:lsi"]

  let old: DeliveryRig
  let target: ServedDevice
  let device: XIVEDescriptor

  init(_ options: [String] = Self.options) throws {
    let old = try DeliveryRig(options)
    let target = try ServedDevice(options)
    let device = try XIVEDescriptor(target.path)
    try device.addMemory(old.memory, slot: 0, at: DeliveryRig.memoryAddress)
    self.old = old
    self.target = target
    self.device = device
  }
}

@Suite("Machines that move", .enabled(if: Requirement.canMount), .hangGuard)
struct StateMoveTests {
  @Test("A machine in every state goes on elsewhere as if nothing had been, and is the same there")
  func everything() throws {
    let move = try Move()
    let vcpu = try move.old.connect(0)
    var queue = try move.old.addQueue(0, 6, from: QueuePosition(generation: true, index: 16_382))
    let other = try move.old.addQueue(0, 3)
    try vcpu.setCPPR(0xff)
    // Pending and read; queued; masked; off; an LSI that is held; an event that waits in the queue.
    for lisn in 1...4 as ClosedRange<UInt32> {
      try move.old.route(LISN(rawValue: lisn), to: 0, eisn: EISN(rawValue: lisn))
    }
    for lisn in [1, 2, 2] as [LISN] { try move.old.device.trigger(lisn) }
    #expect(queue.all() == [1, 2])
    _ = try vcpu.acknowledge()
    try move.old.device.configureSource(4, to: 0, 6, eisn: 4, isMasked: true)
    try move.old.device.setPQ(of: 5, to: .off)
    try move.old.route(40, to: 0, 3, eisn: 40)
    try move.old.device.setLine(of: 40, to: true)
    try move.old.device.trigger(3)
    let state = try MachineState.read(from: move.old.device, leavingStopped: true)
    #expect(try !move.old.device.isRunning())
    #expect(state.vps.map(\.server) == [0])
    #expect(state.queueCount == 2)

    let moved = try VCPU(move.target.path, server: 0)
    try state.apply(to: move.device)
    #expect(try move.device.isRunning())
    #expect(try MachineState.read(from: move.device) == state)
    // The guest's vCPU goes on: the LSI's event first, then what was in the other queue already.
    var lines = try EventQueue(move.old.memory, at: DeliveryRig.offset(0, 3))
    #expect(lines.all() == [40] && other.position == .start)
    #expect(try moved.acknowledge().priority == 3)
    #expect(queue.all() == [3])
    try moved.endOfInterrupt(2)
    #expect(queue.all() == [2], "it was queued")
    try moved.endOfInterrupt(1)
    #expect(queue.all() == [])
    try move.device.trigger(4)
    #expect(try move.device.deliveryCounters().masked == 1)
    try moved.endOfLevelInterrupt(40)
    #expect(lines.all() == [40], "its line is still held")
    #expect(queue.position == QueuePosition(generation: false, index: 2))
    withExtendedLifetime(vcpu) {}
  }

  @Test("Events that wait while a machine is stopped go along, and are delivered once, over there")
  func latched() throws {
    let move = try Move()
    let vcpu = try move.old.connect(0)
    var queue = try move.old.addQueue(0)
    try move.old.route(1, to: 0, eisn: 1)
    try move.old.route(2, to: 0, eisn: 2)
    try move.old.device.stopMachine()
    for lisn in [1, 2, 2] as [LISN] { try move.old.device.trigger(lisn) }
    let state = try MachineState.read(from: move.old.device)
    #expect(try !move.old.device.isRunning(), "as it was found")
    #expect(state.latchedCount == 2)
    let moved = try VCPU(move.target.path, server: 0)
    try state.apply(to: move.device, leavingStopped: true)
    #expect(queue.all() == [])
    try move.device.resumeMachine()
    #expect(queue.all() == [1, 2])
    try moved.endOfInterrupt(2)
    #expect(queue.all() == [2])
    #expect(try MachineState.read(from: move.device).latchedCount == 0)
    withExtendedLifetime((vcpu.server, moved.server)) {}
  }

  @Test("A vCPU that connects later begins with what was restored")
  func later() throws {
    let move = try Move()
    let vcpu = try move.old.connect(5)
    try vcpu.setCPPR(4)
    try vcpu.setPending(6)
    let state = try MachineState.read(from: move.old.device)
    try state.apply(to: move.device)
    #expect(try MachineState.read(from: move.device) == state)
    let moved = try VCPU(move.target.path, server: 5)
    #expect(try moved.cppr() == 4)
    try moved.setCPPR(0xff)
    #expect(try moved.acknowledge().priority == 6)
  }

  @Test("What the target had before is gone: vCPUs' states, queues, sources")
  func cleared() throws {
    let move = try Move()
    let state = try MachineState.read(from: move.old.device)
    try move.device.setVPState(VPState(RingState(w01: 0x00ff_0100_ff00_0000)), of: 3)
    let end = END(notifying: 1, 6, queueAddress: DeliveryRig.memoryAddress)
    try move.device.setEND(at: ENDIndex(1, 6), to: end)
    var record = SourceRecord(pq: .queued)
    record.route(to: 1, 6, eisn: 9)
    try move.device.setSourceRecords([record, record], from: 7)
    try move.device.createSource(50)
    try state.apply(to: move.device)
    var expected = state
    expected.sources[50] = SourceRecord(pq: .off)
    #expect(try MachineState.read(from: move.device) == expected, "a source that was created stays")
  }

  @Test("ENDs beyond the machine's servers are found where something leads to them")
  func beyond() throws {
    let move = try Move(["--create", "0-3", "--max-vcpus", "64"])
    try move.old.device.setServerCount(2)
    let queue = END(notifying: 40, 6, queueAddress: DeliveryRig.memoryAddress)
    var escalating = END(notifying: 1, 6, queueAddress: DeliveryRig.memoryAddress + 0x1_0000)
    escalating.w0 |= 1 << 26
    escalating.w4 = ENDIndex(50, 1).rawValue
    for index in [ENDIndex(40, 6), ENDIndex(50, 1), ENDIndex(60, 2)] {
      try move.old.device.setEND(at: index, to: queue)
      try move.device.setEND(at: index, to: queue)
    }
    try move.old.device.setEND(at: ENDIndex(1, 6), to: escalating)
    var record = SourceRecord(pq: .reset)
    record.route(to: 40, 6, eisn: 9)
    try move.old.device.setSourceRecords([record], from: 0)
    let state = try MachineState.read(from: move.old.device)
    #expect(state.ends.map(\.index) == [ENDIndex(1, 6), ENDIndex(40, 6), ENDIndex(50, 1)])
    try move.device.setEND(at: ENDIndex(50, 1), to: escalating)
    try state.apply(to: move.device)
    #expect(try move.device.serverCount() == 2)
    #expect(try MachineState.read(from: move.device) == state)
    // What the state leads to and it does not have is cleared, too.
    var without = state
    without.ends.removeLast()
    try without.apply(to: move.device)
    #expect(try !move.device.end(at: ENDIndex(50, 1)).isValid)
  }

  // MARK: - What comes late

  @Test("What reaches a stopped machine after its state was read is found, and happens elsewhere")
  func late() throws {
    let move = try Move()
    let vcpu = try move.old.connect(0)
    var queue = try move.old.addQueue(0)
    for lisn in Array(1...6) + [40, 41, 42, 43] as [UInt32] {
      try move.old.route(LISN(rawValue: lisn), to: 0, eisn: EISN(rawValue: lisn))
    }
    for lisn in [3, 4, 4] as [LISN] { try move.old.device.trigger(lisn) }
    for lisn in [41, 42] as [LISN] { try move.old.device.setLine(of: lisn, to: true) }
    #expect(queue.all() == [3, 4, 41, 42])
    let state = try MachineState.read(from: move.old.device, leavingStopped: true)
    #expect(try state.lateEvents(at: move.old.device) == [])
    // 5 is masked by PQ: a trigger is dropped there in any machine.
    for lisn in [1, 2, 2, 2, 3, 4] as [LISN] { try move.old.device.trigger(lisn) }
    try move.old.device.setLine(of: 40, to: true)
    try move.old.device.setLine(of: 42, to: false)
    try move.old.device.setLine(of: 43, to: true)
    try move.old.device.setLine(of: 43, to: false)
    let late = try state.lateEvents(at: move.old.device)
    #expect(
      late == [
        LateEvent(source: 1, kind: .triggered(1)), LateEvent(source: 2, kind: .triggered(2)),
        LateEvent(source: 3, kind: .triggered(1)), LateEvent(source: 40, kind: .raised),
        LateEvent(source: 42, kind: .lowered), LateEvent(source: 43, kind: .triggered(1)),
      ])
    #expect(try state.lateEvents(at: move.old.device) == late, "asked again")

    let moved = try VCPU(move.target.path, server: 0)
    try state.apply(to: move.device, leavingStopped: true)
    for event in late { try event.happen(on: move.device) }
    // Now it is where the old one is.
    let there = try MachineState.read(from: move.device)
    #expect(there == (try MachineState.read(from: move.old.device)))
    try move.device.resumeMachine()
    #expect(queue.all() == [1, 2, 40, 43])
    for lisn in [2, 3, 4] as [LISN] { try moved.endOfInterrupt(lisn) }
    #expect(queue.all() == [2, 3, 4])
    withExtendedLifetime(vcpu) {}
  }

  @Test("Random events at a stopped machine are all accounted for elsewhere")
  func randomEvents() throws {
    let move = try Move()
    var random = Seed.generator(stream: 0x1a7e)
    for _ in 0..<20 {
      var records: [SourceRecord] = (0..<32).map { _ in
        SourceRecord(pq: PQ(rawValue: .random(in: 0...3, using: &random)))
      }
      for index in records.indices where records[index].pq == .pending {
        records[index].isLatched = .random(using: &random)
      }
      try move.old.device.stopMachine()
      try move.old.device.setSourceRecords(records, from: 0)
      let lsis = (0..<4).map { _ in SourceRecord(pq: .reset, isLSI: true) }
      try move.old.device.setSourceRecords(lsis, from: 40)
      let state = try MachineState.read(from: move.old.device)
      for _ in 0..<Int.random(in: 0..<64, using: &random) {
        if Int.random(in: 0..<4, using: &random) == 0 {
          try move.old.device.setLine(
            of: LISN(rawValue: .random(in: 40...43, using: &random)),
            to: .random(using: &random))
        } else {
          try move.old.device.trigger(LISN(rawValue: .random(in: 0..<32, using: &random)))
        }
      }
      try state.apply(to: move.device, leavingStopped: true)
      for event in try state.lateEvents(at: move.old.device) { try event.happen(on: move.device) }
      let (there, here) = (
        try MachineState.read(from: move.device), try MachineState.read(from: move.old.device)
      )
      #expect(there == here, "\(Seed.comment)")
    }
  }

  @Test("A machine that runs, or was changed by other than events, has none that could be late")
  func changed() throws {
    let move = try Move()
    func late(_ state: MachineState) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in try state.lateEvents(at: move.old.device) }
    }
    try move.old.device.setPQ(of: 3, to: .pending)
    let running = try MachineState.read(from: move.old.device)
    #expect(late(running) == .state(.ran))
    let state = try MachineState.read(from: move.old.device, leavingStopped: true)
    #expect(late(state) == nil)
    let changes: [SourceRecord] = [
      SourceRecord(pq: .reset), SourceRecord(pq: .off), .absent,
      SourceRecord(pq: .pending, isLSI: true),
    ]
    for change in changes {
      try move.old.device.setSourceRecords([change], from: 3)
      #expect(late(state) == .state(.changed(3)))
      #expect(late(state)?.description.hasPrefix("source 0x3: has changed") == true)
    }
    var routed = SourceRecord(pq: .pending)
    routed.route(to: 0, 6, eisn: 3)
    try move.old.device.setSourceRecords([routed], from: 3)
    #expect(late(state) == .state(.changed(3)))
  }
}
