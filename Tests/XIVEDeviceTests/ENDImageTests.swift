import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Mapped pages of ENDs")
struct ENDImageTests {
  private static let halves = [ENDHalf.notification, .escalation]

  private func signature(_ rig: Rig, _ server: UInt32, _ priority: UInt32, _ half: ENDHalf)
    -> PageSignature
  {
    var signature = PageSignature(
      backing: .end, deviceOffset: rig.endPage(server, priority, half))
    signature.half = half.rawValue
    signature.hardwareIRQ = server * 8 + priority
    return signature
  }

  private func expectImage(
    _ image: [UInt8], _ pq: PQ?, _ signature: PageSignature,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for slot in 0..<0xfc0 / 8 {
      let isPQ = (0x800 / 8..<0xc00 / 8).contains(slot)
      let expected = isPQ ? pq.map { UInt64($0.rawValue) } ?? .max : .max
      guard image.slot(slot) != expected else { continue }
      Issue.record("slot \(slot): \(image.slot(slot))", sourceLocation: sourceLocation)
    }
    #expect(PageSignature(image: image) == signature, sourceLocation: sourceLocation)
  }

  @Test("They show their machine's PQ, and all ones while the END is not valid", arguments: halves)
  func image(half: ENDHalf) throws {
    for geometry in ESBGeometry.allCases {
      let machine = try Machine(Rig(servers: 2, geometry: geometry), cpus: 2)
      let rig = machine.rig
      let page = rig.endPage(1, 3, half)
      for part in [0, rig.map.pageByteCount - 4_096] {
        expectImage(try rig.image(page + part), nil, signature(rig, 1, 3, half))
      }
      for pq in PQ.allCases {
        var end = Machine.end(1, 3)
        end[half] = pq
        try machine.setEND(1, 3, end)
        expectImage(try rig.image(page), pq, signature(rig, 1, 3, half))
      }
    }
  }

  @Test("Servers that never had a vCPU have none; those of one that has gone stay")
  func holes() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try machine.setEND(1, 6, Machine.end(1, 6))
    for priority in UInt32(0)..<8 {
      for half in Self.halves {
        #expect(rig.resolves(rig.endPage(0, priority, half)))
        #expect(!rig.resolves(rig.endPage(1, priority, half)))
      }
    }
    try machine.connect(1)
    #expect(rig.resolves(rig.endPage(1, 6)))
    machine.disconnect(0)
    #expect(rig.resolves(rig.endPage(0, 6)))
  }

  /// What changes an END whose ESn is at 00, and what its pages show then.
  private static let changes: [(String, PQ?, PQ?, @Sendable (Machine) throws -> Void)] = [
    ("event", .pending, .reset, { try $0.trigger(1) }),
    (
      "two events", .queued, .reset,
      {
        for _ in 0..<2 {
          try $0.trigger(1)
          try $0.load(1, at: 0)
        }
      }
    ),
    ("load", .off, .reset, { try $0.rig.load($0.rig.endPage(0, 6) + 0xd00) }),
    (
      "load of the other half", .reset, .queued,
      {
        try $0.rig.load($0.rig.endPage(0, 6, .escalation) + 0xf00)
      }
    ),
    ("size 0", nil, nil, { try $0.rig.setQueue(0, 6, xive_eq()) }),
    ("END that is not valid", nil, nil, { try $0.setEND(0, 6, END()) }),
    ("RESET", nil, nil, { try $0.rig.kvm(.set, group: 1, UInt64(KVM_DEV_XIVE_RESET)) }),
    ("memory that goes", nil, nil, { try $0.rig.removeMemory(0) }),
    (
      "escalation", .reset, .pending,
      {
        var end = Machine.end(0, 6)
        end.w0 |= XIVE_END_W0_ESCALATE | XIVE_END_W0_SILENT_ESCALATE
        end.w4 = 40
        try $0.setEND(0, 6, end)
        try $0.trigger(1)
      }
    ),
  ]

  @Test("Every change is delivered to the pages that were filled", arguments: 0..<9)
  func live(number: Int) throws {
    let (name, notification, escalation, change) = Self.changes[number]
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try machine.start(1, on: 0, eisn: 1)
    var end = Machine.end(0, 6)
    end.notifiesAlways = false
    try machine.setEND(0, 6, end)
    var pages = try Self.halves.map { try MappedPage(rig, rig.endPage(0, 6, $0)) }
    rig.updates()
    let wakeUps = rig.host.wakeUps
    try change(machine)
    #expect(rig.host.wakeUps == wakeUps + 1, "\(name)")
    for update in rig.updates() {
      #expect(update.bytes.count == 1_024)
      for index in pages.indices { pages[index].deliver(update) }
    }
    for (half, page, pq) in [
      (ENDHalf.notification, pages[0], notification), (.escalation, pages[1], escalation),
    ] {
      expectImage(page.bytes, pq, signature(rig, 0, 6, half))
    }
    #expect(rig.updates().isEmpty)
  }

  @Test("An END that is valid again is delivered; one that nobody has filled wakes nobody")
  func validAgain() throws {
    let machine = try Machine(cpus: 1, priorities: [])
    let rig = machine.rig
    let page = rig.endPage(0, 6)
    _ = try rig.image(page)
    let wakeUps = rig.host.wakeUps
    try machine.setQueue(0, 5)
    #expect(rig.host.wakeUps == wakeUps)
    try machine.setQueue(0, 6)
    #expect(rig.updates() == [.pq(.reset, at: page)])
  }

  @Test("A mapped store is dropped, put back and counted", arguments: [0, 0x80, 0x100, 0x1f8])
  func stores(slot: Int) throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    for (number, half) in Self.halves.enumerated() {
      var mapped = try MappedPage(rig, rig.endPage(0, 6, half))
      let before = mapped.bytes
      mapped.storeAndWriteBack(0x1234, slot: slot)
      #expect(machine.guestErrors.end_store == UInt64(number) + 1)
      mapped.deliverAll()
      let isSame = mapped.bytes == before
      #expect(isSame, "what was stored is still there")
    }
    #expect(try machine.end(0, 6) == Machine.end(0, 6))
    #expect(machine.guestErrors.image == 0 && rig.counters.mappedStores == 0)
    rig.writeBack(try rig.image(rig.endPage(0, 6)), at: rig.endPage(3, 6))
    #expect(machine.guestErrors.image == 1, "a page that is not there")
  }
}
