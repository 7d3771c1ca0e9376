import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("RESET: as the kernel's while there are vCPUs, else the machine starts over")
struct ResetTests {
  /// A machine in which everything has been set up that can be, with one vCPU.
  private func machine() throws -> Machine {
    let rig = try Rig.withPHB(sources: 8, existing: 4)
    rig.create(3, isLSI: true, isAsserted: true)
    try rig.set(XIVE_GROUP_MACHINE, 0, 6 as UInt32)
    try rig.set(XIVE_GROUP_MACHINE, 1, 3 as UInt32)
    for window in [0, 1] as [UInt64] {
      try rig.set(XIVE_GROUP_ADDRESS, window, window * 0x10_0000)
    }
    try rig.set(XIVE_GROUP_MSI, 5, Self.route)
    try rig.map(0, to: 1)
    let machine = try Machine(rig, cpus: 1)
    try rig.set(XIVE_GROUP_VP, 1, xive_vp(state: (UInt64(5 << 48).bigEndian, 0), flags: 0, zero: 0))
    try machine.start(1, on: 0, eisn: 0x11)
    // An event that waits in an NVT.
    try machine.setEND(2, 6, Machine.end(2, 6))
    rig.device.router.presenter.accept(Server(rawValue: 2))
    try rig.storeRecord(2, xive_source_config(2, 6, 0x22, 0), .reset)
    try machine.trigger(2)
    try rig.set(XIVE_GROUP_MACHINE, 2, 0 as UInt32)
    try machine.trigger(1)
    return machine
  }

  private static let route = xive_msi(
    address: 0xfee0, first_data: 0x40, count: 2, first_lisn: 1, zero: 0)

  private func reset(_ rig: Rig) throws {
    try rig.kvm(.set, group: 1, UInt64(KVM_DEV_XIVE_RESET))
  }

  @Test("A15: with a vCPU the set-up stays, LSIs stay, and the line that is held")
  func kernel() throws {
    let machine = try machine()
    let rig = machine.rig
    let before = DeliverySnapshot(rig)
    let record = rig.device.router.presenter.backlog(of: NVTIndex(Server(rawValue: 2)))
    #expect(record == 2)
    try reset(rig)
    let after = DeliverySnapshot(rig)
    #expect(after.limits == before.limits && after.flags == before.flags)
    #expect(after.addresses == before.addresses && after.routes == before.routes)
    #expect(after.slots == before.slots && after.parkedVPs == before.parkedVPs)
    #expect(after.servers == before.servers && after.backlogs == before.backlogs)
    #expect(after.threads == before.threads)
    #expect(after.sources.backings == before.sources.backings)
    #expect(
      after.sources.states
        == [0x11, 0x11, 0x11, 0x1d, 1, 1, 1, 1].enumerated().map {
          $0 == 0 ? before.sources.states[0] & ~0x23 | 1 : $1
        })
    #expect((0..<4).allSatisfy { after.assignments[$0] == .masked })
    #expect(after.ends.allSatisfy { $0 == END() })
    // What had stayed at a source's door is dropped.
    try rig.set(XIVE_GROUP_MACHINE, 2, 1 as UInt32)
    #expect(machine.entries(0, 1) == [0] && machine.counts.entries == before.counts.entries)
  }

  @Test("Without a vCPU what a VMM has set up is forgotten; sources, PHBs, mappings, counters stay")
  func startsOver() throws {
    let machine = try machine()
    let rig = machine.rig
    machine.disconnect(0)
    let before = DeliverySnapshot(rig)
    try reset(rig)
    let after = DeliverySnapshot(rig)
    #expect(after.limits == [4, 8])
    // It runs, whoever had stopped it.
    #expect(after.flags == [false, false, false, true])
    #expect(after.addresses == [nil, nil] && after.slots == .init(repeating: nil, count: 32))
    #expect(after.reservedBytes == 0 && after.parkedVPs.isEmpty)
    #expect(after.backlogs == [0, 0, 0, 0])
    #expect(after.routes == "\(MessageTable())")
    #expect((0..<4).allSatisfy { after.assignments[$0] == .masked })
    #expect(after.ends.allSatisfy { $0 == END() })
    // Source 3 is a message source now that nobody holds.
    #expect(after.sources.states == [0x11, 0x11, 0x11, 0x11, 1, 1, 1, 1])
    #expect(after.sources.backings == before.sources.backings)
    #expect(after.sources.shapes == before.sources.shapes)
    #expect(rig.backing(0) == .phb(Rig.phb(0), Rig.irq(1)) && rig.hardwarePQ(1) == .off)
    #expect(after.counts.entries == before.counts.entries)
    for server in UInt64(0)..<3 {
      #expect(try rig.get(XIVE_GROUP_VP, server, as: xive_vp.self).flags == 0)
    }
  }

  @Test("Afterwards a consumer with other sizes sets up its own machine, ten times")
  func again() throws {
    let rig = try machine().rig
    rig.device.closed(Machine.opener(0))?.completion()
    for round in UInt32(0)..<10 {
      try reset(rig)
      let isLarge = round & 1 == 0
      try rig.set(XIVE_GROUP_MACHINE, 0, (isLarge ? 8 - round / 8 : 4 + round / 8) as UInt32)
      try rig.set(1, 3, (isLarge ? 4 : 2) as UInt32)
      try rig.set(XIVE_GROUP_ADDRESS, 0, 0x8_0000 as UInt64)
      try rig.set(XIVE_GROUP_MSI, 5, Self.route)
      let machine = try Machine(rig, cpus: 2)
      try machine.start(1, on: 1, eisn: 0x100 + round)
      try machine.trigger(1)
      #expect(machine.entries(1, 2) == [0x8000_0100 + round, 0])
      #expect(try machine.acknowledge(1) == 0x8006)
      for server: UInt32 in [0, 1] { machine.disconnect(server) }
    }
  }

  @Test("A source that exists cannot be taken back: fewer sources than that are EBUSY")
  func sourcesStay() throws {
    let rig = Rig(sources: 8, existing: 6)
    try reset(rig)
    rig.expectNothingChanged(.busy) { () throws(DeviceError) in
      try rig.set(XIVE_GROUP_MACHINE, 0, 5 as UInt32)
    }
    try rig.set(XIVE_GROUP_MACHINE, 0, 6 as UInt32)
  }

  /// A caller that resets the device while its memory is being shared.
  private final class Resetter: Caller {
    let rig: Rig
    let memory: SharedBytes?
    let name = "a test"

    init(_ rig: Rig, _ memory: SharedBytes?) {
      self.rig = rig
      self.memory = memory
    }

    func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
      throw .badAddress
    }
    func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) { throw .badAddress }
    func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool { false }
    func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent { throw .badDescriptor }

    func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
      -> any SharedMemory
    {
      try rig.kvm(.set, group: 1, UInt64(KVM_DEV_XIVE_RESET))
      guard let memory else { throw .badDescriptor }
      return memory
    }
  }

  @Test("Memory that is being shared keeps its part of the limit: it goes once", arguments: [0, 1])
  func memoryUnderWay(count: Int) throws {
    let rig = Rig()
    try rig.addMemory(1, at: 1 << 40, SharedBytes(byteCount: 65_536))
    let caller = Resetter(rig, count == 0 ? nil : SharedBytes(byteCount: 4_096))
    let value = xive_memory(gpa: 0, size: 4_096, fd: 3, zero: 0, offset: 0)
    let bytes = unsafe withUnsafeBytes(of: value) { unsafe [UInt8]($0) }
    var request = ControlRequest(
      number: xive_set_attr_request,
      input: UInt32(0).memoryBytes + XIVE_GROUP_MEMORY.memoryBytes + UInt64(0).memoryBytes + bytes
        + [UInt8](repeating: 0, count: 80),
      outputByteCount: 128, opener: Rig.writer, caller: caller)
    if count == 0 {
      #expect(throws: DeviceError.badDescriptor) { try rig.device.control(&request) }
    } else {
      _ = try rig.device.control(&request)
      #expect(rig.device.delivery.withLock { $0.memory.byteCount } == 4_096)
      try rig.removeMemory(0)
    }
    #expect(rig.device.delivery.withLock { $0.memory.byteCount } == 0)
  }
}
