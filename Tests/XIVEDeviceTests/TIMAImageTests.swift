import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Mapped TIMA pages")
struct TIMAImageTests {
  private static let geometries = ESBGeometry.allCases

  /// What a TIMA page shows: its ring at 010, all ones elsewhere, and the signature.
  private func expectImage(
    _ image: [UInt8], _ ring: UInt64, _ signature: PageSignature,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for slot in 0..<0xfc0 / 8 {
      guard image.slot(slot) != (slot == 2 ? ring : .max) else { continue }
      Issue.record("slot \(slot): \(image.slot(slot))", sourceLocation: sourceLocation)
    }
    #expect(PageSignature(image: image) == signature, sourceLocation: sourceLocation)
  }

  private func signature(_ rig: Rig, _ server: UInt32, at page: UInt64, generation: UInt64 = 1)
    -> PageSignature
  {
    var signature = PageSignature(backing: .tima, deviceOffset: page)
    signature.half = XIVE_VIEW_OS
    signature.hardwareIRQ = server
    signature.generation = generation
    return signature
  }

  @Test("A vCPU's OS page shows its ring, from the first moment on", arguments: geometries)
  func image(geometry: ESBGeometry) throws {
    let rig = Rig(geometry: geometry)
    try rig.connect(Machine.opener(2), to: 2)?.completion()
    for page in [rig.tima(2, .os), 2 * rig.map.pageByteCount] {
      for part in stride(from: 0, to: rig.map.pageByteCount, by: 4_096) {
        expectImage(
          try rig.image(page + part), 0x0000_00ff_ff00_00ff, signature(rig, 2, at: page))
      }
    }
    try rig.store(rig.tima(2, .os) + 0x11, [5])
    expectImage(
      try rig.image(rig.tima(2, .os)), 0x0005_00ff_ff00_00ff,
      signature(rig, 2, at: rig.tima(2, .os)))
  }

  @Test("Other views, and the pages of servers without a vCPU, are holes")
  func holes() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    for view in [TIMAView.hw, .hv, .user] {
      #expect(!rig.resolves(rig.tima(0, view)))
      #expect(!rig.resolves(rig.map.offset(of: .connectedTIMA(view))))
    }
    for view in TIMAView.allCases { #expect(!rig.resolves(rig.tima(1, view))) }
    machine.disconnect(0)
    #expect(!rig.resolves(rig.tima(0, .os)))
  }

  @Test("The page at offset 0 is the only vCPU's; nobody's is all ones; of two there is none")
  func onlyOne() throws {
    let machine = try Machine(cpus: 0)
    let rig = machine.rig
    let page = 2 * rig.map.pageByteCount
    func expectNobody() throws {
      expectImage(
        try rig.image(page), .max, PageSignature(unconnected: .os, at: page))
    }
    try expectNobody()
    try machine.connect(1)
    try machine.setCPPR(1, 3)
    expectImage(try rig.image(page), 0x0003_00ff_ff00_00ff, signature(rig, 1, at: page))
    try machine.connect(0)
    #expect(!rig.resolves(page))
    try machine.connect(2)
    #expect(!rig.resolves(page))
    machine.disconnect(1)
    #expect(!rig.resolves(page))
    machine.disconnect(0)
    expectImage(try rig.image(page), 0x0000_00ff_ff00_00ff, signature(rig, 2, at: page))
    machine.disconnect(2)
    try expectNobody()
    try machine.connect(1)
    expectImage(
      try rig.image(page), 0x0000_00ff_ff00_00ff, signature(rig, 1, at: page, generation: 2))
  }

  /// Everything that can change a ring.
  private static let changes: [(String, @Sendable (Machine) throws -> Void)] = [
    ("CPPR", { try $0.setCPPR(0, 4) }),
    ("event", { try $0.trigger(1) }),
    (
      "event while CPPR holds it back",
      {
        try $0.setCPPR(0, 2); try $0.trigger(1)
      }
    ),
    ("pending by the guest", { try $0.storeTIMA(0, 6, at: 0x812, byteCount: 1) }),
    (
      "acknowledgement",
      {
        try $0.trigger(1); try $0.acknowledge(0)
      }
    ),
    (
      "CPPR below what is pending",
      {
        try $0.trigger(1); try $0.setCPPR(0, 1)
      }
    ),
    (
      "backlog",
      {
        try $0.pull(0); try $0.trigger(1); try $0.push(0)
      }
    ),
    (
      "plain store of the hypervisor's",
      {
        try $0.storeTIMA(0, 0x8003_4000, at: 0x10, byteCount: 4, .hv)
      }
    ),
    (
      "END's EOI",
      {
        var end = Machine.end(0, 6)
        end.notifiesAlways = false
        end.w1 = XIVE_END_W1_ESN
        try $0.setEND(0, 6, end)
        try $0.rig.load($0.rig.endPage(0, 6))
      }
    ),
  ]

  @Test("Every change of a ring is delivered to the pages that were filled", arguments: 0..<9)
  func live(number: Int) throws {
    let (name, change) = Self.changes[number]
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try machine.start(1, on: 0, eisn: 1)
    let pages = [2 * rig.map.pageByteCount, rig.tima(0, .os)]
    for page in pages { _ = try rig.image(page) }
    rig.updates()
    let before = try machine.ring(0)
    let wakeUps = rig.host.wakeUps
    try change(machine)
    let ring = try machine.ring(0)
    #expect(ring != before, "\(name)")
    #expect(rig.host.wakeUps == wakeUps + 1, "\(name)")
    let bytes = ring.bigEndian.memoryBytes
    #expect(
      rig.updates() == pages.map { Update(offset: $0 + 0x10, bytes: bytes) }, "\(name)")
    #expect(rig.updates().isEmpty, "\(name)")
  }

  @Test("What does not change a ring, or shows on no page, wakes nobody")
  func quiet() throws {
    let machine = try Machine()
    let rig = machine.rig
    try machine.start(1, on: 1, eisn: 1)
    _ = try rig.image(rig.tima(0, .os))
    let wakeUps = rig.host.wakeUps
    try machine.trigger(1)
    try machine.acknowledge(0)
    try machine.setCPPR(0, 0)
    _ = try machine.ring(0)
    try machine.pull(0)
    try machine.push(0)
    #expect(rig.host.wakeUps == wakeUps)
    #expect(rig.updates().isEmpty)
  }

  @Test("Of a 64 KiB page only the filled parts are delivered", arguments: 0..<16)
  func parts(part: Int) throws {
    let machine = try Machine(Rig(servers: 1, geometry: .two64K), cpus: 1)
    let rig = machine.rig
    let page = rig.tima(0, .os) + UInt64(part) * 4_096
    _ = try rig.image(page)
    try machine.setCPPR(0, 1)
    let bytes = try machine.ring(0).bigEndian.memoryBytes
    #expect(rig.updates() == [Update(offset: page + 0x10, bytes: bytes)])
  }

  @Test("A page that has gone, or shows another vCPU by now, gets nothing of the one of before")
  func gone() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    let page = 2 * rig.map.pageByteCount
    for page in [page, rig.tima(0, .os)] { _ = try rig.image(page) }
    try machine.connect(1)
    try machine.setCPPR(0, 1)
    let bytes = try machine.ring(0).bigEndian.memoryBytes
    #expect(rig.updates() == [Update(offset: rig.tima(0, .os) + 0x10, bytes: bytes)])
    // Now offset 0 is server 1's.
    try machine.setCPPR(0, 2)
    machine.disconnect(0)
    _ = try rig.image(page)
    #expect(rig.updates().isEmpty, "nothing of a vCPU that has gone")
    try machine.setCPPR(1, 3)
    let other = try machine.ring(1).bigEndian.memoryBytes
    #expect(rig.updates() == [Update(offset: page + 0x10, bytes: other)])
  }

  @Test(
    "A mapped store is dropped, put back and counted", arguments: [0, 2, 3, 0x100, 0x1f8, 0x1ff])
  func stores(slot: Int) throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try machine.start(1, on: 0, eisn: 1)
    for (number, page) in [2 * rig.map.pageByteCount, rig.tima(0, .os)].enumerated() {
      var mapped = try MappedPage(rig, page)
      let before = mapped.bytes
      let ring = try machine.ring(0)
      mapped.storeAndWriteBack(0x1234_5678_9abc_def0, slot: slot)
      #expect(machine.guestErrors.tima_store == UInt64(number) + 1)
      #expect(try machine.ring(0) == ring)
      mapped.deliverAll()
      let isSame = mapped.bytes == before
      #expect(isSame, "what was stored is still there")
      #expect(rig.updates().isEmpty)
    }
    #expect(machine.guestErrors.image == 0 && rig.counters.mappedStores == 0)
  }

  @Test("A store that races with a change is put back to what is true now")
  func storeAndChange() throws {
    let machine = try Machine(cpus: 1)
    var mapped = try MappedPage(machine.rig, machine.rig.tima(0, .os))
    try machine.setCPPR(0, 4)
    mapped.store(0, slot: 2)
    mapped.writeBack()
    try machine.setCPPR(0, 5)
    mapped.deliverAll()
    let ring = try machine.ring(0)
    #expect(mapped.bytes.slot(2) == ring)
  }

  @Test("An image of the page of a vCPU that has gone changes nothing")
  func lateStore() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    let pages = [rig.tima(0, .os), 2 * rig.map.pageByteCount]
    let image = try rig.image(pages[0])
    machine.disconnect(0)
    rig.writeBack(image, at: pages[0])
    #expect(machine.guestErrors.image == 1)
    #expect(rig.updates().isEmpty)
  }

  @Test("A store to nobody's page is dropped, put back and counted as well")
  func nobody() throws {
    let rig = Rig()
    var mapped = try MappedPage(rig, 2 * 4_096)
    let before = mapped.bytes
    for slot in [0, 2, 0x1f8] {
      mapped.storeAndWriteBack(0x1234, slot: slot)
      mapped.deliverAll()
      let isSame = mapped.bytes == before
      #expect(isSame, "slot \(slot)")
    }
    #expect(rig.device.watch.guestErrors.sum == 3)
  }
}
