import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// The two ways to a vCPU's state.
private enum Way: CaseIterable { case register, group }

extension Rig {
  fileprivate func register(
    _ number: VMRequest, of opener: Opener, at address: UInt64 = 0x3000,
    id: UInt64 = XIVE_REG_VP_STATE, _ memory: FakeMemory = FakeMemory()
  ) throws(DeviceError) {
    let input = id.memoryBytes + address.memoryBytes
    let answer = try control(number.rawValue, input, by: opener, memory: memory)
    #expect(answer.isEmpty)
  }

  /// The state of a server's vCPU.
  fileprivate func vp(_ server: UInt32, _ way: Way = .group) throws(DeviceError) -> UInt64 {
    guard way == .register else {
      return UInt64(bigEndian: try get(XIVE_GROUP_VP, UInt64(server), as: xive_vp.self).state.0)
    }
    let memory = FakeMemory()
    try register(.getOneRegister, of: Machine.opener(server), memory)
    guard case .write(0x3000, let bytes) = memory.accesses.first, memory.accesses.count == 1,
      bytes.count == 16, bytes[8...].allSatisfy({ $0 == 0 })
    else { throw .badAddress }
    return bytes.slot(0)
  }

  fileprivate func setVP(
    _ server: UInt32, _ state: UInt64, _ way: Way = .group
  ) throws(DeviceError) {
    guard way == .register else {
      return try set(
        XIVE_GROUP_VP, UInt64(server), xive_vp(state: (state.bigEndian, 0), flags: 0, zero: 0))
    }
    // The second half is not used, and not looked at.
    let bytes = state.bigEndian.memoryBytes + [UInt8](repeating: 0xee, count: 8)
    let memory = FakeMemory([0x3000: bytes])
    try register(.setOneRegister, of: Machine.opener(server), memory)
    #expect(memory.accesses == [.read(0x3000, 16)])
  }

  fileprivate func flags(_ server: UInt32) throws(DeviceError) -> UInt32 {
    try get(XIVE_GROUP_VP, UInt64(server), as: xive_vp.self).flags
  }
}

@Suite("A vCPU's state: VP_STATE and group VP")
struct VPStateTests {
  private static let initial: UInt64 = 0x0000_0000_ff00_0000

  @Test("A19: of several mistakes the first is answered, another for a set than for a get")
  func order() throws {
    let rig = try Machine(cpus: 1).rig
    let stranger = Opener(id: 9, isWritable: true)
    let before = DeliverySnapshot(rig)
    let ids: [UInt64] = [0, XIVE_REG_VP_STATE ^ 1, XIVE_REG_VP_STATE ^ 1 << 52, .max]
    for number in [VMRequest.getOneRegister, .setOneRegister] {
      for id in ids {
        for opener in [stranger, Machine.opener(0)] {
          #expect(throws: DeviceError.invalid) {
            try rig.register(number, of: opener, at: 0, id: id)
          }
        }
      }
      #expect(throws: DeviceError.badAddress) {
        try rig.register(number, of: Machine.opener(0), FakeMemory(isWritable: false))
      }
    }
    // Not connected: a get does not come to its pointer, a set has read it.
    let memory = FakeMemory(isWritable: false)
    #expect(throws: DeviceError.noSuchAttribute) {
      try rig.register(.getOneRegister, of: stranger, memory)
    }
    #expect(memory.accesses.isEmpty)
    #expect(throws: DeviceError.badAddress) { try rig.register(.setOneRegister, of: stranger) }
    let good = FakeMemory([0x3000: .init(repeating: 0, count: 16)])
    #expect(throws: DeviceError.noSuchAttribute) {
      try rig.register(.setOneRegister, of: stranger, good)
    }
    // A register may be got, not set, through a descriptor that may not write.
    let reader = Opener(id: Machine.opener(0).id, isWritable: false)
    try rig.register(.getOneRegister, of: reader)
    #expect(throws: DeviceError.badDescriptor) {
      try rig.register(.setOneRegister, of: reader, good)
    }
    #expect(DeliverySnapshot(rig) == before)
  }

  @Test("A19: ENXIO before it is connected, then as after reset, and ENXIO again")
  func connected() throws {
    let machine = try Machine(cpus: 1)
    #expect(throws: DeviceError.noSuchAttribute) { try machine.rig.vp(1, .register) }
    for way in Way.allCases { #expect(try machine.rig.vp(0, way) == Self.initial) }
    machine.disconnect(0)
    #expect(throws: DeviceError.noSuchAttribute) { try machine.rig.vp(0, .register) }
  }

  // The kernel refuses a set while the context is pushed, EBUSY; here it is pulled, replaced and pushed, in one step.
  @Test("A19: a set while the vCPU runs takes effect at once; NSR and PIPR follow")
  func running() throws {
    for way in Way.allCases {
      let machine = try Machine(cpus: 1)
      // CPPR, IPB, INC and what becomes of NSR and PIPR; NSR, LSMFB, ACK#, AGE and PIPR are not taken.
      for (state, ring, saved) in [
        (0xff05_027f_1234_5678, 0x0005_0200_ff34_0006, 0x0005_0200_ff34_0000),
        (0x0007_0200_0000_00ff, 0x8007_0200_ff00_0006, 0x8007_0200_ff00_0000),
        (0x0008_0100_ff00_0000, 0x80ff_0100_ff00_0007, 0x80ff_0100_ff00_0000),
        (0x80ff_0000_ff00_0003, 0x00ff_0000_ff00_00ff, 0x00ff_0000_ff00_0000),
      ] as [(UInt64, UInt64, UInt64)] {
        try machine.rig.setVP(0, state, way)
        for other in Way.allCases { #expect(try machine.rig.vp(0, other) == saved) }
        let now = try machine.ring(0)
        #expect(now >> 40 == ring >> 40 && now & 0xff == ring & 0xff, "\(String(now, radix: 16))")
        #expect(try machine.loadTIMA(0, at: 0x18, byteCount: 4, .hv) == 0x8000_0400)
      }
      try machine.rig.setVP(0, 0x00ff_0200_ff00_0000, way)
      #expect(try machine.acknowledge(0) == 0x8006)
      #expect(try machine.rig.vp(0, way) == 0x0006_0000_ff00_0000)
    }
  }

  @Test(
    "A19: the backlog is in it; a set by the register keeps what has come, by the group replaces it"
  )
  func backlog() throws {
    for way in Way.allCases {
      let machine = try Machine(cpus: 1)
      try machine.start(1, on: 0, eisn: 0x11)
      try machine.pull(0)
      try machine.trigger(1)
      #expect(try machine.ring(0) >> 40 & 0xff == 0, "the ring itself has nothing")
      for other in Way.allCases { #expect(try machine.rig.vp(0, other) == 0x00ff_0200_ff00_0000) }
      let target = NVTIndex(Server(rawValue: 0))
      #expect(machine.rig.device.router.presenter.backlog(of: target) == 2, "a look takes nothing")
      try machine.rig.setVP(0, 0x00ff_0800_ff00_0000, way)
      #expect(try machine.rig.vp(0) & 0xff << 40 == (way == .register ? 0x0a : 0x08) << 40)
      // It was pulled, and stays so.
      #expect(try machine.loadTIMA(0, at: 0x18, byteCount: 4, .hv) == 0x0400)
      try machine.push(0)
      #expect(try machine.acknowledge(0) == 0x8004)
      try machine.setCPPR(0, 0xff)
      #expect(try machine.acknowledge(0) == (way == .register ? 0x8006 : 0x00ff))
    }
  }

  @Test("A19: flags tell whether there is a vCPU, and whether anything is kept")
  func flags() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    #expect(try rig.flags(0) == 3 && rig.flags(1) == 0 && rig.vp(1) == Self.initial)
    try rig.setVP(1, 0x0005_0000_ff00_0000)
    #expect(try rig.flags(1) == XIVE_VP_PRESENT)
    try rig.setVP(1, Self.initial)
    #expect(try rig.flags(1) == 0)
    // What no vCPU would have is not kept.
    try rig.setVP(1, 0x8000_00ff_0012_3456 & ~0xff_0000)
    #expect(try rig.flags(1) == 0 && rig.vp(1) == Self.initial)
    machine.disconnect(0)
    #expect(try rig.flags(0) == 0)
    try machine.start(1, on: 3, eisn: 1, expecting: DeviceError.invalid)
  }

  @Test("6.22: a vCPU that is plugged after its state was restored has CPPR, IPB, and its events")
  func hotPlugged() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try rig.setVP(2, 0x8007_0500_1202_0033)
    #expect(try rig.vp(2) == 0x8007_0500_ff02_0000, "as it will be saved")
    #expect(throws: DeviceError.noSuchAttribute) { try rig.vp(2, .register) }
    // An event for it meanwhile, as a restored END and source bring it.
    try machine.setEND(2, 6, Machine.end(2, 6))
    try rig.storeRecord(1, xive_source_config(2, 6, 0x22, 0), PQ.reset)
    try machine.trigger(1)
    #expect(machine.guestErrors.nvt_invalid == 0)
    #expect(try rig.vp(2) == 0x8007_0700_ff02_0000)
    #expect(try rig.flags(2) == XIVE_VP_PRESENT)
    try machine.connect(2)
    #expect(try machine.ring(2) == 0x8007_0700_ff02_0005 | machine.ring(2) & 0xff_ff00_ff00)
    #expect(try rig.vp(2, .register) == 0x8007_0700_ff02_0000)
    #expect(try rig.flags(2) == 3)
    for priority: UInt64 in [5, 6] {
      #expect(try machine.acknowledge(2) == 0x8000 | priority)
      try machine.setCPPR(2, 0xff)
    }
    #expect(machine.entry(2, at: 0) == 0x8000_0022)
    // Once: the next vCPU there begins as after reset.
    machine.disconnect(2)
    try machine.connect(2)
    #expect(try rig.vp(2) & 0xffff_0000_0000_0000 == 0)
  }

  @Test("A state that replaces another drops what was kept for the server")
  func replaced() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x11)
    machine.disconnect(0)
    try machine.trigger(1)
    #expect(try machine.rig.vp(0) == 0x0000_0200_ff00_0000)
    try machine.rig.setVP(0, 0x00ff_4000_ff00_0000)
    #expect(try machine.rig.vp(0) == 0x80ff_4000_ff00_0000)
    try machine.connect(0)
    #expect(try machine.acknowledge(0) == 0x8001)
    try machine.setCPPR(0, 0xff)
    #expect(try machine.acknowledge(0) == 0x00ff)
  }

  @Test("Servers are below NR_SERVERS here, too")
  func limit() throws {
    let rig = Rig(servers: 4)
    try rig.setVP(3, 0x0005_0000_ff00_0000)
    try rig.set(1, 3, 3 as UInt32)
    for server in [3, 4, 16_384] as [UInt32] {
      #expect(throws: DeviceError.noSuchAttribute) { try rig.vp(server) }
      #expect(throws: DeviceError.noSuchAttribute) { try rig.setVP(server, 0) }
      #expect(throws: DeviceError.noSuchAttribute) {
        try rig.kvm(.set, group: XIVE_GROUP_VP, UInt64(server))
      }
      #expect(throws: DeviceError.noSuchAttribute) {
        try rig.kvm(.has, group: XIVE_GROUP_VP, UInt64(server))
      }
    }
    try rig.setVP(2, 0)
  }
}

extension Machine {
  /// Routes a source where that must fail.
  fileprivate func start(
    _ source: UInt32, on server: UInt32, eisn: UInt32, expecting error: DeviceError
  ) throws {
    #expect(throws: error) { try route(source, to: server, eisn: eisn) }
  }
}

extension Rig {
  /// Stores a source's record as a restore does.
  func storeRecord(
    _ source: UInt32, _ config: UInt64, _ pq: PQ, _ flags: UInt64 = 0
  ) throws(DeviceError) {
    let word = UInt64(pq.rawValue) | UInt64(XIVE_STATE_VALID) | flags
    try store(xive_state_offset(source), config.memoryBytes + word.memoryBytes)
  }
}
