import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("KVM_ENABLE_CAP: descriptors and vCPUs")
struct ConnectTests {
  /// What can be wrong with a request, in the order in which it is found.
  enum Mistake: Int, CaseIterable {
    case readOnly, flags, capability, notOpen, otherFile, connected, beyond, taken

    var error: DeviceError {
      switch self {
      case .readOnly, .notOpen: .badDescriptor
      case .flags, .capability, .beyond: .invalid
      case .otherFile: .notPermitted
      case .connected: .busy
      case .taken: .exists
      }
    }
  }

  /// A rig in which server 0 has a vCPU and descriptor 7 is connected to server 1.
  private func rig() throws -> Rig {
    let rig = Rig(servers: 4)
    _ = try rig.connect(Rig.writer, to: 0)
    _ = try rig.connect(Opener(id: 7, isWritable: true), to: 1)
    return rig
  }

  private func request(_ rig: Rig, with mistakes: Set<Mistake>, server: UInt64)
    throws(DeviceError)
  {
    let memory = FakeMemory()
    memory.shared[6] = SharedBytes(byteCount: 4_096)
    let descriptor: UInt64 =
      mistakes.contains(.notOpen) ? 4 : mistakes.contains(.otherFile) ? 6 : 5
    let id: UInt64 = mistakes.contains(.connected) ? 7 : 8
    _ = try rig.connect(
      Opener(id: id, isWritable: !mistakes.contains(.readOnly)), to: server,
      capability: mistakes.contains(.capability) ? 168 : 169,
      flags: mistakes.contains(.flags) ? 1 : 0, naming: descriptor, by: memory)
  }

  private static let serversBeyond: [UInt64] = [4, 5, 16_384, 1 << 31, 1 << 32, 1 << 32 | 2, .max]

  @Test("A18: of several mistakes the first is answered, and nothing changes")
  func order() throws {
    let rig = try rig()
    for bits in 1..<1 << Mistake.allCases.count {
      let mistakes = Set(Mistake.allCases.filter { bits & 1 << $0.rawValue != 0 })
      guard let first = Mistake.allCases.first(where: mistakes.contains) else { continue }
      let servers =
        mistakes.contains(.beyond) ? Self.serversBeyond : mistakes.contains(.taken) ? [0] : [2]
      for server in servers {
        rig.expectNothing(first.error, "\(mistakes), server \(server)") {
          () throws(DeviceError) in
          try request(rig, with: mistakes, server: server)
        }
      }
    }
    #expect(rig.device.router.presenter.tima(of: Server(rawValue: 2)).os.word2 == 0)
    try request(rig, with: [], server: 2)
  }

  @Test("A number that is no descriptor is EBADF")
  func descriptors() throws {
    let rig = try rig()
    for descriptor: UInt64 in [.max, 1 << 31, 1 << 32 | 5, 1 << 63] {
      rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        _ = try rig.connect(Opener(id: 8, isWritable: true), to: 2, naming: descriptor)
      }
    }
  }

  @Test("A vCPU that is connected has its registers as after reset, and its context pushed")
  func registers() throws {
    let machine = try Machine(cpus: 3)
    for server in UInt32(0)..<3 {
      #expect(try machine.ring(server) == 0x0000_00ff_ff00_00ff)
      #expect(
        try machine.loadTIMA(server, at: 0x18, byteCount: 4, .hv) == 0x8000_0400 + UInt64(server))
    }
    let info = try machine.rig.get(
      XIVE_GROUP_INFO, UInt64(XIVE_INFO_DELIVERY), as: xive_info_delivery.self)
    #expect(info.vcpus == 3)
  }

  @Test(
    "Whoever is told of a vCPU finds no page of before: its TIMA, and the only vCPU's",
    arguments: ESBGeometry.allCases)
  func invalidation(geometry: ESBGeometry) throws {
    let rig = Rig(geometry: geometry)
    let size = rig.map.pageByteCount
    let opener = Machine.opener(3)
    let expected = [2 * size, rig.tima(3, .os)].map { $0..<$0 + size }
    for zaps: UInt64 in [2, 6] {
      #expect(try rig.connect(opener, to: 3)?.ranges == expected)
      #expect(rig.device.counters.zaps.value == zaps)
      #expect(rig.device.closed(opener)?.ranges == expected)
      #expect(rig.device.counters.zaps.value == zaps + 2)
      #expect(rig.device.closed(opener) == nil, "it had none")
    }
    #expect(rig.device.closed(Rig.reader) == nil)
  }

  @Test("Each descriptor's own pages are its vCPU's, region 3 is everybody's")
  func twoDescriptors() throws {
    let machine = try Machine()
    try machine.setCPPR(0, 3)
    try machine.setCPPR(1, 5)
    let rig = machine.rig
    for view in [TIMAView.hw, .hv, .os] {
      for (server, cppr) in [(UInt32(0), UInt64(3)), (1, 5)] {
        #expect(try machine.loadTIMA(server, at: 0x11, byteCount: 1, view) == cppr)
        for opener in [Rig.writer, Rig.reader, Machine.opener(0), Machine.opener(1)] {
          #expect(try rig.load(rig.tima(server, view) + 0x11, byteCount: 1, by: opener) == cppr)
        }
      }
    }
    try rig.store(rig.tima(1, .os) + 0x11, [7], by: Machine.opener(0))
    #expect(try machine.state(0) >> 16 == 0x0003)
    #expect(try machine.state(1) >> 16 == 0x0007)
  }

  @Test(
    "The TIMA of nobody gives all ones, takes nothing, and counts", arguments: TIMAView.allCases)
  func absent(view: TIMAView) throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    // A descriptor that is not connected; a server without a vCPU.
    for page in [rig.map.offset(of: .connectedTIMA(view)), rig.tima(1, view)] {
      for (offset, size) in [(0x10, 8), (0x11, 1), (0x18, 4), (0x810, 2), (0x818, 4), (0xff8, 8)] {
        let before = machine.guestErrors.absent_page
        let ones = size == 8 ? UInt64.max : 1 << UInt64(8 * size) - 1
        for opener in [Rig.writer, Rig.reader] {
          #expect(try rig.load(page + UInt64(offset), byteCount: size, by: opener) == ones)
        }
        try rig.store(page + UInt64(offset), .init(repeating: 0x80, count: size))
        rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
          try rig.store(page + UInt64(offset), .init(repeating: 0x80, count: size), by: Rig.reader)
        }
        #expect(machine.guestErrors.absent_page == before + 3)
      }
    }
    #expect(try machine.ring(0) == 0x0000_00ff_ff00_00ff)
    #expect(rig.device.router.presenter.tima(of: Server(rawValue: 1)) == TIMA())
  }

  @Test("A server is free again when the last reference to its descriptor has gone")
  func close() throws {
    let machine = try Machine(cpus: 1)
    try machine.setCPPR(0, 0xff)
    let rig = machine.rig
    let other = Opener(id: 55, isWritable: true)
    rig.expectNothing(.exists) { () throws(DeviceError) in _ = try rig.connect(other, to: 0) }
    // Another descriptor that closes changes nothing.
    #expect(rig.device.closed(other) == nil)
    #expect(try machine.state(0) == 0x00ff_00ff)
    machine.disconnect(0)
    #expect(rig.device.router.presenter.tima(of: Server(rawValue: 0)).os.word2 >> 31 == 0)
    _ = try rig.connect(other, to: 0)
    #expect(try rig.load(2 * 4_096 + 0x11, byteCount: 1, by: other) == 0, "reset")
    #expect(try rig.load(2 * 4_096 + 0x11, byteCount: 1, by: Machine.opener(0)) == 0xff, "nobody's")
    // The descriptor of before may become another vCPU's.
    try rig.connect(Machine.opener(0), to: 2)?.completion()
    #expect(try rig.load(rig.tima(2, .os) + 0x11, byteCount: 1) == 0)
  }

  @Test("While it is gone events are kept for a vCPU, and its queue and routes stay")
  func backlog() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x11)
    try machine.start(2, on: 0, eisn: 0x12)
    try machine.trigger(1)
    machine.disconnect(0)
    try machine.trigger(2)
    #expect(machine.entries(0, 3) == [0x8000_0011, 0x8000_0012, 0])
    #expect(machine.counts.backlogged == 1)
    let target = NVTIndex(Server(rawValue: 0))
    #expect(machine.rig.device.router.presenter.backlog(of: target) == 0x02)
    try machine.connect(0)
    #expect(try machine.state(0) == 0x0000_0206, "pending, but CPPR lets nothing through")
    try machine.setCPPR(0, 0xff)
    #expect(try machine.acknowledge(0) == 0x8006)
    #expect(machine.rig.device.router.presenter.backlog(of: target) == 0)
    #expect(try machine.end(0, 6).queueIndex == 2)
    #expect(machine.rig.device.watch.guestErrors.sum == 0)
  }

  @Test("Servers above 127 have no physical thread and take interrupts all the same")
  func manyServers() throws {
    let rig = Rig(servers: 130)
    for server: UInt32 in [0, 127, 128, 129] {
      try rig.connect(Machine.opener(server), to: UInt64(server))?.completion()
    }
    try rig.addMemory(0, at: 0, SharedBytes(byteCount: 65_536))
    try rig.setQueue(129, 6, xive_eq(at: 0))
    try rig.set(3, 1, xive_source_config(129, 6, 0x77, 0))
    try rig.store(rig.tima(129, .os) + 0x11, [0xff])
    rig.setPQ(1, .reset)
    try rig.store(rig.offset(1, .trigger))
    #expect(try rig.load(rig.tima(129, .os) + 0x810, byteCount: 2) == 0x8006)
    #expect(rig.device.watch.guestErrors.sum == 0)
  }
}

@Suite("TIMA accesses")
struct TIMAAccessTests {
  @Test("What the tables do not have gives all ones, and is counted", arguments: TIMAView.allCases)
  func loads(view: TIMAView) throws {
    let machine = try Machine(cpus: 1)
    for offset in UInt64(0)..<4_096 {
      for size in [1, 2, 4, 8] where offset % UInt64(size) == 0 {
        let isKnown = TIMAOperation.load(at: offset, byteCount: size, view: view) != nil
        let errors = machine.guestErrors.tima_access
        let ones = size == 8 ? UInt64.max : 1 << UInt64(8 * size) - 1
        let value = try machine.loadTIMA(0, at: offset, byteCount: size, view)
        guard isKnown || value != ones || machine.guestErrors.tima_access != errors + 1 else {
          continue
        }
        #expect(isKnown, "\(size) bytes at \(offset)")
        #expect(machine.guestErrors.tima_access == errors, "\(size) bytes at \(offset)")
      }
    }
  }

  @Test("What the tables do not have takes nothing, and is counted", arguments: TIMAView.allCases)
  func stores(view: TIMAView) throws {
    let machine = try Machine(cpus: 1)
    let server = Server(rawValue: 0)
    for offset in UInt64(0)..<4_096 {
      for size in [1, 2, 4, 8] where offset % UInt64(size) == 0 {
        let isKnown = TIMAOperation.store(at: offset, byteCount: size, view: view) != nil
        let errors = machine.guestErrors.tima_access
        let before = machine.rig.device.router.presenter.tima(of: server)
        try machine.storeTIMA(0, 0x0102_0304_0506_0708, at: offset, byteCount: size, view)
        let isSame = machine.rig.device.router.presenter.tima(of: server) == before
        let isCounted = machine.guestErrors.tima_access == errors + 1
        guard isKnown ? isCounted : !isCounted || !isSame else { continue }
        Issue.record("\(size) bytes at \(offset): \(isKnown), \(isSame), \(isCounted)")
      }
    }
  }

  private static let effects: [(UInt64, Int, TIMAView)] = [
    (0x800, 1, .user), (0x808, 4, .os), (0x810, 2, .os), (0x818, 4, .hv), (0x818, 8, .hv),
    (0x828, 4, .hv), (0x830, 2, .hv),
  ]

  @Test("A load with effect needs a descriptor that may write", arguments: effects)
  func readOnly(offset: UInt64, size: Int, view: TIMAView) throws {
    let machine = try Machine(cpus: 2)
    let rig = machine.rig
    try machine.setCPPR(1, 0xff)
    try machine.storeTIMA(1, 3, at: 0x812, byteCount: 1)
    let reader = Opener(id: 99, isWritable: false)
    let before = rig.device.router.presenter.tima(of: Server(rawValue: 1))
    let errors = rig.device.watch.guestErrors.sum
    for other in TIMAView.allCases where other.rawValue <= view.rawValue {
      #expect(throws: DeviceError.badDescriptor) {
        try rig.load(rig.tima(1, other) + offset, byteCount: size, by: reader)
      }
    }
    #expect(rig.device.watch.guestErrors.sum == errors)
    // Where the view has no such load there is no effect.
    for other in TIMAView.allCases where other.rawValue > view.rawValue {
      let ones = size == 8 ? UInt64.max : 1 << UInt64(8 * size) - 1
      #expect(try rig.load(rig.tima(1, other) + offset, byteCount: size, by: reader) == ones)
      #expect(try rig.load(rig.tima(1, other) + offset, byteCount: size) == ones)
    }
    #expect(rig.device.router.presenter.tima(of: Server(rawValue: 1)) == before)
    try rig.load(rig.tima(1, .hw) + offset, byteCount: size)
    #expect(try rig.load(rig.tima(1, .os) + 0x10, by: reader) == machine.ring(1))
  }

  @Test("R13: the OS page writes neither NSR nor IPB nor word 2, and cannot pull")
  func osView() throws {
    let machine = try Machine(cpus: 1)
    try machine.setCPPR(0, 0xff)
    let server = Server(rawValue: 0)
    let before = machine.rig.device.router.presenter.tima(of: server)
    try machine.storeTIMA(0, 0x80ff_8000_0000_0000, at: 0x10, byteCount: 8)
    try machine.storeTIMA(0, 0x80ff_8000, at: 0x10, byteCount: 4)
    try machine.storeTIMA(0, 0x8000_0401, at: 0x18, byteCount: 4)
    #expect(machine.rig.device.router.presenter.tima(of: server) == before)
    #expect(machine.guestErrors.tima_access == 1, "word 2 alone is not there")
    for (offset, size) in [(UInt64(0x818), 4), (0x818, 8), (0x830, 2), (0x828, 4)] {
      let ones = size == 8 ? UInt64.max : 1 << UInt64(8 * size) - 1
      #expect(try machine.loadTIMA(0, at: offset, byteCount: size) == ones)
    }
    #expect(machine.guestErrors.tima_access == 5)
    #expect(machine.rig.device.router.presenter.tima(of: server) == before)
  }

  @Test("A pull gives word 2 and lowers the line; a push brings what came meanwhile")
  func pullAndPush() throws {
    let machine = try Machine()
    try machine.start(1, on: 1, eisn: 0x21)
    #expect(try machine.pull(1) == 0x8000_0401)
    try machine.trigger(1)
    #expect(try machine.state(1) == 0x00ff_00ff)
    #expect(machine.counts.backlogged == 1)
    #expect(try machine.loadTIMA(1, at: 0x818, byteCount: 8, .hv) == 0x0000_0401)
    #expect(machine.guestErrors.context == 1, "nothing there to pull")
    try machine.push(1)
    #expect(try machine.state(1) == 0x80ff_0206)
    #expect(machine.entry(1, at: 0) == 0x8000_0021)
  }
}
