import SystemCalls
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Machines that move", .enabled(if: Requirement.canMount), .hangGuard)
struct StateMoveTests {
  @Test("A machine in every state goes on elsewhere as if nothing had been, and is the same there")
  func everything() throws {
    let move = try MachineMove()
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
    let move = try MachineMove()
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
    let move = try MachineMove()
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
    let move = try MachineMove()
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

  @Test("All valid ENDs are found and moved, also those beyond the machine's servers")
  func beyond() throws {
    let move = try MachineMove(["--create", "0-3", "--max-vcpus", "64"])
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
    #expect(
      state.ends.map(\.index)
        == [ENDIndex(1, 6), ENDIndex(40, 6), ENDIndex(50, 1), ENDIndex(60, 2)])
    try move.device.setEND(at: ENDIndex(50, 1), to: escalating)
    try state.apply(to: move.device)
    #expect(try move.device.serverCount() == 2)
    #expect(try MachineState.read(from: move.device) == state)
    // What it does not have is cleared.
    var without = state
    without.ends.removeLast()
    try without.apply(to: move.device)
    #expect(try !move.device.end(at: ENDIndex(60, 2)).isValid)
  }

  @Test("A refusal in the middle is told with what has been done, and leaves the machine stopped")
  func middle() throws {
    let move = try MachineMove()
    // Who shares a line cannot be seen before: there the source is an LSI, here it sends messages.
    let event = try Event()
    let resample = try Event()
    let irqfd = try move.device.assign(event, resample: resample, to: 40)
    var state = try MachineState.read(from: move.old.device)
    state.sources[40] = SourceRecord(pq: .off)
    let plain = refusal { () throws(XIVEClientError) in try state.apply(to: move.device) }
    #expect(plain?.errno == .resourceBusy)
    #expect(try move.device.isRunning(), "nothing was changed")
    state.vps = [VPRecord(server: 1, w01: 0x00ff_0000_ff00_0000)]
    state.ends = [
      ENDRecord(
        index: ENDIndex(1, 6), end: END(notifying: 1, 6, queueAddress: DeliveryRig.memoryAddress))
    ]
    let error = refusal { () throws(XIVEClientError) in try state.apply(to: move.device) }
    #expect(error?.errno == .resourceBusy)
    #expect(
      error?.description.hasSuffix(
        "it has 1 vCPUs and 1 ENDs of the saved state, and of its sources at most some, and stays "
          + "stopped: restore again") == true)
    #expect(try !move.device.isRunning())
    withExtendedLifetime(irqfd) {}
  }
}
