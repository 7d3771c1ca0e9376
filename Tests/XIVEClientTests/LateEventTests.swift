import SystemCalls
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Late events", .enabled(if: Requirement.canMount), .hangGuard)
struct LateEventTests {
  @Test("What reaches a stopped machine after its state was read is found, and happens elsewhere")
  func late() throws {
    let move = try MachineMove()
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
        LateEvent(source: 42, kind: .lowered), LateEvent(source: 43, kind: .pulsed),
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
    let move = try MachineMove()
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
      let lsis = (0..<4).map { _ in
        var lsi = SourceRecord(pq: PQ(rawValue: .random(in: 0...2, using: &random)), isLSI: true)
        lsi.isAsserted = .random(using: &random)
        return lsi
      }
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

  @Test("Lines that irqfds hold are told, and are not given to another machine")
  func irqfds() throws {
    let move = try MachineMove()
    let event = try Event()
    let resample = try Event()
    let irqfd = try move.old.device.assign(event, resample: resample, to: 40)
    try move.old.device.setPQ(of: 40, to: .reset)
    try move.old.device.stopMachine()
    let before = try MachineState.read(from: move.old.device)
    #expect(try before.lateEvents(at: move.old.device) == [])
    event.raise()
    for _ in 0..<60_000 where try !move.old.device.sourceRecord(of: 40).isHeldByIRQFDs {
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    let after = try MachineState.read(from: move.old.device)
    let late = [LateEvent(source: 40, kind: .heldByIRQFDs)]
    #expect(try before.lateEvents(at: move.old.device) == late)
    #expect(try after.lateEvents(at: move.old.device) == late, "for it is not restored")
    try after.apply(to: move.device, leavingStopped: true)
    let there = try move.device.sourceRecord(of: 40)
    #expect(there.isLatched && there.pq == .pending && !there.isHeldByIRQFDs)
    try late[0].happen(on: move.device)
    #expect(try move.device.sourceRecord(of: 40) == there)
    // Taken off, what it has fired is still there, once, however the other machine was told of it already.
    withExtendedLifetime(consume irqfd) {}
    for _ in 0..<60_000 where try move.old.device.sourceRecord(of: 40).isHeldByIRQFDs {
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    let rest = try before.lateEvents(at: move.old.device)
    #expect(rest == [LateEvent(source: 40, kind: .pulsed)])
    try rest[0].happen(on: move.device)
    #expect(try move.device.sourceRecord(of: 40) == there)
    try before.apply(to: move.device, leavingStopped: true)
    try rest[0].happen(on: move.device)
    #expect(try move.device.sourceRecord(of: 40) == there)
  }

  @Test("A machine that runs, or was changed by other than events, has none that could be late")
  func changed() throws {
    let move = try MachineMove()
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
