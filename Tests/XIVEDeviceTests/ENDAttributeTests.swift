import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Group END: ENDs as firmware writes them")
struct ENDAttributeTests {
  private static let routes = PayloadRoute.allCases

  private func refuse(
    _ error: DeviceError, _ machine: Machine, _ attribute: UInt64, _ end: END,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for route in Self.routes {
      machine.rig.expectNothing(error, "\(route)", sourceLocation: sourceLocation) {
        () throws(DeviceError) in
        try machine.rig.set(XIVE_GROUP_END, attribute, end.structure, route)
      }
    }
  }

  @Test("There are eight for each server that the device has room for")
  func numbers() throws {
    let machine = try Machine(cpus: 0)
    for attribute: UInt64 in [0, 7, 31] {
      try machine.rig.kvm(.has, group: XIVE_GROUP_END, attribute, by: Rig.reader)
    }
    for attribute: UInt64 in [32, 1 << 24, 1 << 28, 1 << 32, 1 << 32 | 1, .max] {
      refuse(.outOfRange, machine, attribute, END())
      machine.rig.expectNothing(.outOfRange) { () throws(DeviceError) in
        try machine.rig.kvm(.set, group: XIVE_GROUP_END, attribute)
      }
      #expect(throws: DeviceError.outOfRange) {
        try machine.rig.get(XIVE_GROUP_END, attribute, as: xive_end.self)
      }
      machine.rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
        try machine.rig.kvm(.has, group: XIVE_GROUP_END, attribute)
      }
    }
    machine.rig.expectNothing(.badAddress) { () throws(DeviceError) in
      try machine.rig.kvm(.set, group: XIVE_GROUP_END, 0)
    }
    machine.rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
      try machine.rig.set(XIVE_GROUP_END, 0, END().structure, by: Rig.reader)
    }
  }

  @Test("All words come back as they were set, by either way", arguments: routes)
  func roundTrip(route: PayloadRoute) throws {
    let machine = try Machine(cpus: 0)
    var end = Machine.end(2, 3)
    end.w1 = XIVE_END_W1_ESN | XIVE_END_W1_GENERATION | 0x123
    (end.w4, end.w5, end.w7) = (0x0102_0304, 0x7654_3210, 0x00a5_0000)
    try machine.rig.set(XIVE_GROUP_END, 19, end.structure, route)
    let words = try machine.rig.get(XIVE_GROUP_END, 19, as: xive_end.self, route)
    #expect(END(words) == end)
    #expect(words.word.0 >> 28 == 0xf && words.word.7 == 0x00a5_0000)
    try machine.rig.set(XIVE_GROUP_END, 19, xive_end(), route)
    #expect(END(try machine.rig.get(XIVE_GROUP_END, 19, as: xive_end.self, route)) == END())
  }

  @Test("Format 1, and a queue that does not fit, are EINVAL")
  func refusals() throws {
    let machine = try Machine(cpus: 0)
    let before = try machine.end(0, 6)
    var format1 = Machine.end(0, 6)
    format1.w6 |= 1 << 23
    refuse(.invalid, machine, 6, format1)
    format1.isEnqueued = false
    refuse(.invalid, machine, 6, format1)
    format1.isValid = false
    refuse(.invalid, machine, 6, format1)
    for size in UInt32(0)..<16 {
      var end = Machine.end(0, 6)
      end.w0 = end.w0 & ~XIVE_END_W0_QSIZE | size << 16
      let bytes = UInt64(4_096) << UInt64(size)
      let isThere =
        Machine.queueAddress(0, 6) % bytes == 0
        && UInt64(6 * 65_536) + bytes <= UInt64(machine.memory.byteCount)
      if isThere {
        try machine.setEND(0, 6, end)
        #expect(try machine.end(0, 6) == end)
        try machine.setEND(0, 6, before)
      } else {
        refuse(.invalid, machine, 6, end)
      }
      guard isThere else { continue }
      // Half a queue too far, one entry too far.
      let start = end.w3
      end.w3 += UInt32(bytes / 2)
      refuse(.invalid, machine, 6, end)
      end.w3 = start
      end.queueIndex = end.queueEntryCount
      refuse(.invalid, machine, 6, end)
      end.queueIndex = end.queueEntryCount - 1
      try machine.setEND(0, 6, end)
      try machine.setEND(0, 6, before)
    }
    var outside = Machine.end(0, 6)
    outside.w2 = 0
    refuse(.invalid, machine, 6, outside)
    #expect(try machine.end(0, 6) == before)
  }

  @Test(
    "R7: queues of every size wrap, and the generation flips", arguments: [0, 2, 4] as [UInt32])
  func sizes(size: UInt32) throws {
    let machine = try Machine(cpus: 1)
    var end = Machine.end(0, 6)
    end.w0 = end.w0 & ~XIVE_END_W0_QSIZE | size << 16
    try machine.setEND(0, 6, end)
    try machine.start(1, on: 0, eisn: 0x111)
    let count = 1_024 << Int(size)
    var queue = GuestQueue(
      machine.memory, at: Machine.queueAddress(0, 6), byteCount: UInt64(4 * count))
    for number in 0..<2 * count + 1 {
      try machine.trigger(1)
      guard queue.next() == 0x111, queue.next() == nil else {
        Issue.record("entry \(number)")
        return
      }
      try machine.load(1, at: 0)
      // As observed: the entry after the last overwrites the first, with the other generation.
      if number == count { #expect(machine.entry(0, at: 0) == 0x111) }
    }
    #expect(machine.entries(0, 2) == [0x8000_0111, 0x111])
    #expect(machine.counts.entries == UInt64(2 * count + 1))
  }

  @Test("R5: without unconditional notification ESn coalesces; its EOI passes on what it held")
  func coalescing() throws {
    let machine = try Machine(cpus: 1)
    var end = Machine.end(0, 6)
    end.notifiesAlways = false
    try machine.setEND(0, 6, end)
    let page = machine.rig.endPage(0, 6)
    try machine.start(1, on: 0, eisn: 0x111)
    for expected: UInt64 in [2, 3, 3] {
      try machine.trigger(1)
      try machine.load(1, at: 0)
      #expect(try machine.rig.get(page) == expected)
    }
    #expect(machine.entries(0, 4) == [0x8000_0111, 0x8000_0111, 0x8000_0111, 0])
    #expect(machine.counts.notified == 1 && machine.counts.coalesced == 2)
    #expect(try machine.acknowledge(0) == 0x8006)
    try machine.setCPPR(0, 0xff)
    #expect(try machine.rig.load(page) == 1)
    #expect(try machine.rig.get(page) == 2)
    #expect(try machine.state(0) == 0x80ff_0206, "QEMU leaves it at that")
    #expect(try machine.rig.load(page) == 0)
    #expect(try machine.rig.get(page) == 0)
    #expect(machine.counts.entries == 3)
  }

  @Test("R8: what nobody takes is escalated, once, or each time, or without asking anybody")
  func escalation() throws {
    for (flags, escalated, backlog) in [
      (XIVE_END_W0_ESCALATE, UInt64(1), UInt8(2)),
      (XIVE_END_W0_ESCALATE | XIVE_END_W0_UNCOND_ESCALATE, 3, 2),
      (XIVE_END_W0_ESCALATE | XIVE_END_W0_UNCOND_ESCALATE | XIVE_END_W0_SILENT_ESCALATE, 3, 0),
      (XIVE_END_W0_ESCALATE | XIVE_END_W0_SILENT_ESCALATE, 1, 0),
    ] {
      let machine = try Machine()
      var end = Machine.end(1, 6)
      end.w0 |= flags
      (end.w4, end.w5) = (UInt32(xive_end_index(0, 6)), 0x7e5c)
      try machine.setEND(1, 6, end)
      try machine.start(1, on: 1, eisn: 0x111)
      try machine.setCPPR(0, 0xff)
      try machine.pull(1)
      for _ in 0..<3 {
        try machine.trigger(1)
        try machine.load(1, at: 0)
      }
      #expect(machine.entries(1, 4) == [0x8000_0111, 0x8000_0111, 0x8000_0111, 0])
      #expect(machine.entries(0, 4).count { $0 == 0x8000_7e5c } == Int(escalated))
      #expect(machine.counts.escalated == escalated)
      #expect(machine.counts.coalesced == 3 - escalated)
      let target = NVTIndex(Server(rawValue: 1))
      #expect(machine.rig.device.router.presenter.backlog(of: target) == backlog)
      #expect(try machine.acknowledge(0) == 0x8006)
      // ESe holds what came after; its EOI passes it on.
      let page = machine.rig.endPage(1, 6, .escalation)
      #expect(try machine.rig.get(page) == (escalated == 1 ? 3 : 0))
      #expect(try machine.rig.load(page) == (escalated == 1 ? 1 : 0))
      #expect(machine.counts.escalated == (escalated == 1 ? 2 : 3))
    }
  }

  @Test("R8: without a backlog and without escalation the notification is lost, the entry is not")
  func lost() throws {
    let machine = try Machine(cpus: 1)
    var end = Machine.end(0, 6)
    end.keepsBacklog = false
    try machine.setEND(0, 6, end)
    try machine.start(1, on: 0, eisn: 0x111)
    try machine.pull(0)
    try machine.trigger(1)
    try machine.push(0)
    #expect(machine.entry(0, at: 0) == 0x8000_0111)
    #expect(try machine.state(0) == 0x00ff_00ff)
    #expect(machine.counts.undelivered == 1)
  }

  @Test("R4, R6: priority ff queues without a word, q = 0 notifies without an entry")
  func halves() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x111)
    var end = Machine.end(0, 6)
    end.w7 = 0x00ff_0000
    try machine.setEND(0, 6, end)
    try machine.trigger(1)
    try machine.load(1, at: 0)
    #expect(machine.entry(0, at: 0) == 0x8000_0111)
    #expect(try machine.state(0) == 0x00ff_00ff)
    #expect(machine.counts.masked == 1)
    end = Machine.end(0, 6)
    end.isEnqueued = false
    try machine.setEND(0, 6, end)
    try machine.trigger(1)
    #expect(machine.entries(0, 2) == [0x8000_0111, 0])
    #expect(try machine.acknowledge(0) == 0x8006)
    #expect(machine.counts.entries == 1)
  }

  @Test("R3: an END or an NVT that is not valid drops the event, PQ stays, and it is counted")
  func invalid() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x111)
    try machine.setEND(0, 6, END())
    try machine.trigger(1)
    #expect(machine.rig.pq(1) == .pending)
    #expect(machine.guestErrors.end_invalid == 1)
    for target: UInt32 in [0x401, 0x3ff, 0x404, 0x7_ffff, 1 << 19 | 0x400] {
      var end = Machine.end(0, 6)
      end.w6 = target
      try machine.setEND(0, 6, end)
      let before = machine.guestErrors.nvt_invalid
      machine.rig.setPQ(1, .reset)
      try machine.trigger(1)
      #expect(machine.guestErrors.nvt_invalid == before + 1, "NVT \(target)")
      #expect(machine.entry(0, at: 0) == 0x8000_0111)
    }
    #expect(try machine.state(0) == 0x00ff_00ff)
  }

  @Test("R9: where two rings answer nobody is told; the backlog is, and it is counted")
  func duplicate() throws {
    let machine = try Machine()
    try machine.start(1, on: 1, eisn: 0x111)
    let word = UInt32(0x8000_0401).bigEndian.memoryBytes
    try machine.rig.store(machine.rig.tima(0, .hv) + 0x18, word)
    try machine.trigger(1)
    #expect(machine.guestErrors.cam_duplicate == 1)
    #expect(machine.counts.backlogged == 1)
    for server: UInt32 in [0, 1] { #expect(try machine.ring(server) >> 63 == 0) }
    try machine.pull(0)
    try machine.pull(1)
    try machine.push(1)
    #expect(try machine.state(1) == 0x80ff_0206)
  }
}

@Suite("ESB pages of ENDs: exact accesses")
struct ENDPageTests {
  @Test("Loads work both machines as a source's; other half, other END and sources stay")
  func loads() throws {
    let machine = try Machine(cpus: 4)
    for half in [ENDHalf.notification, .escalation] {
      for old in PQ.allCases {
        for offset in stride(from: UInt64(0), to: 4_096, by: 8) {
          var end = Machine.end(3, 2)
          end[half] = old
          try machine.setEND(3, 2, end)
          var state = SourceState(rawValue: old.rawValue)
          let operation = ESBOperation.load(at: offset, of: .management)
          let event = machine.rig.device.engine.event(for: operation)
          let value = event.map { state.perform($0).value }
          let seen = try machine.rig.load(machine.rig.endPage(3, 2, half) + offset)
          end[half] = state.pq
          let isSame = try machine.end(3, 2) == end
          guard seen != value || !isSame else { continue }
          Issue.record("\(half), \(old), \(offset)")
        }
      }
    }
    #expect(machine.counts.notified == 256, "each EOI of ESn that found an event queued")
    #expect(machine.rig.device.watch.guestErrors.sum == 0)
  }

  @Test("A store does nothing and is counted, whatever the END", arguments: [false, true])
  func stores(isValid: Bool) throws {
    let machine = try Machine(cpus: 0)
    let end = isValid ? Machine.end(3, 2) : END()
    try machine.setEND(3, 2, end)
    for offset: UInt64 in [0, 0x400, 0x800, 0xc00, 0xd00, 0xff8] {
      for half in [ENDHalf.notification, .escalation] {
        try machine.rig.store(machine.rig.endPage(3, 2, half) + offset)
      }
    }
    #expect(machine.guestErrors.end_store == 12)
    #expect(try machine.end(3, 2) == end)
  }

  @Test("While it is not valid its pages give all ones, to anybody, and it is counted")
  func absent() throws {
    let machine = try Machine(cpus: 0)
    for offset: UInt64 in [0, 0x800, 0xc00] {
      for opener in [Rig.writer, Rig.reader] {
        let before = machine.guestErrors.absent_page
        #expect(try machine.rig.load(machine.rig.endPage(0, 0) + offset, by: opener) == .max)
        #expect(machine.guestErrors.absent_page == before + 1)
      }
    }
  }

  @Test("A descriptor that may not write may look and nothing else")
  func readOnly() throws {
    let machine = try Machine(cpus: 1)
    let page = machine.rig.endPage(0, 6)
    #expect(try machine.rig.load(page + 0x800, by: Rig.reader) == 0)
    for offset: UInt64 in [0, 0x400, 0xc00, 0xd00, 0xe00, 0xf00] {
      machine.rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try machine.rig.load(page + offset, by: Rig.reader)
      }
      machine.rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try machine.rig.store(page + offset, by: Rig.reader)
      }
    }
    #expect(try machine.end(0, 6)[.notification] == .reset)
  }
}
