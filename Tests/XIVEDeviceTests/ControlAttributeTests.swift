import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

private let control = UInt32(KVM_DEV_XIVE_GRP_CTRL)
private let reset = UInt64(KVM_DEV_XIVE_RESET)
private let eqSync = UInt64(KVM_DEV_XIVE_EQ_SYNC)
private let serverCount = UInt64(KVM_DEV_XIVE_NR_SERVERS)

@Suite("Group CTRL: reset, synchronization, the number of servers")
struct ControlAttributeTests {
  private static let routes = PayloadRoute.allCases

  @Test("Three attributes exist, none can be got, and who may not write sets none")
  func attributes() throws {
    let rig = Rig()
    for attribute in [reset, eqSync, serverCount] {
      try rig.kvm(.has, group: control, attribute, by: Rig.reader)
      rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
        try rig.kvm(.get, group: control, attribute, at: 0x9000)
      }
      rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
        try rig.kvm(.set, group: control, attribute, at: 0x9000, by: Rig.reader)
      }
    }
    for attribute: UInt64 in [0, 4, 5, 1 << 32 | 1, .max] {
      for request in KVMRequest.allCases {
        rig.expectNothing(.noSuchAttribute) { () throws(DeviceError) in
          try rig.kvm(request, group: control, attribute, at: 0x9000)
        }
      }
    }
  }

  @Test("RESET and EQ_SYNC look at no payload", arguments: [reset, eqSync])
  func payload(attribute: UInt64) throws {
    let rig = Rig()
    let memory = FakeMemory()
    try rig.kvm(.set, group: control, attribute, at: 0, memory: memory)
    #expect(memory.accesses.isEmpty)
    let bytes = [UInt8](repeating: 0x5a, count: Int(XIVE_ATTR_DATA_SIZE))
    _ = try rig.inline(xive_set_attr_request, group: control, attribute, bytes)
  }

  @Test("A17: NR_SERVERS is EFAULT, then EINVAL, then EBUSY", arguments: routes)
  func servers(route: PayloadRoute) throws {
    let rig = Rig(servers: 4)
    for isBusy in [false, true] {
      if isBusy { _ = try rig.connect(Rig.writer, to: 0) }
      rig.expectNothing(.badAddress) { () throws(DeviceError) in
        try rig.kvm(.set, group: control, serverCount)
      }
      for count: UInt32 in [0, 16_385, 1 << 31, .max] {
        rig.expectNothing(.invalid) { () throws(DeviceError) in
          try rig.set(control, serverCount, count, route)
        }
      }
    }
    for count: UInt32 in [1, 4, 16_384] {
      rig.expectNothing(.busy) { () throws(DeviceError) in
        try rig.set(control, serverCount, count, route)
      }
    }
    // The first vCPU has been, that is enough.
    rig.device.closed(Rig.writer)?.completion()
    rig.expectNothing(.busy) { () throws(DeviceError) in
      try rig.set(control, serverCount, 2 as UInt32, route)
    }
  }

  @Test("Servers are below NR_SERVERS and below what the device has room for")
  func limit() throws {
    for (count, first) in [(UInt32(1), UInt64(1)), (3, 3), (4, 4), (5, 4), (16_384, 4)] {
      let rig = Rig(servers: 4)
      try rig.set(control, serverCount, count)
      for server in [first, 5, 16_383, 16_384] {
        rig.expectNothing(.invalid) { () throws(DeviceError) in
          _ = try rig.connect(Rig.writer, to: server)
        }
      }
      _ = try rig.connect(Rig.writer, to: first - 1)
    }
  }

  @Test("A15: after RESET sources exist, off and without a route; queues are gone; TIMAs stay")
  func resets() throws {
    let rig = try Rig.withPHB(sources: 10, existing: 6)
    let machine = try Machine(rig, cpus: 2, priorities: [5, 6])
    rig.create(4, isLSI: true, isAsserted: true)
    try machine.setEND(0, 7, Machine.end(0, 4))
    var silent = END()
    silent.w0 = XIVE_END_W0_VALID | XIVE_END_W0_SILENT_ESCALATE | XIVE_END_W0_ESCALATE
    try machine.setEND(3, 7, silent)
    try rig.map(2, to: 1)
    for source: UInt32 in [0, 1, 3, 4] { try machine.start(source, on: source & 1, eisn: source) }
    try machine.trigger(1)
    rig.setPQ(3, .queued)
    try machine.setCPPR(0, 4)
    let page = rig.offset(2, .management, .kernel)
    _ = try rig.image(page)
    rig.updates()

    let rings = try [machine.ring(0), machine.ring(1)]
    try rig.kvm(.set, group: control, reset)
    #expect((0..<6).allSatisfy { rig.pq($0) == ($0 == 2 ? rig.pq(2) : .off) })
    #expect(rig.states[4] == 0b1_1101, "still an LSI, asserted")
    #expect(rig.hardwarePQ(1) == .off, "what source 2 is mapped to")
    #expect(rig.hardwarePQ(0) == .off && rig.backing(2) == .phb(Rig.phb(0), Rig.irq(1)))
    #expect(rig.updates().contains(.pq(.off, at: page)), "mapped pages show it")
    for server in UInt32(0)..<4 {
      for priority in UInt32(0)..<8 {
        #expect(try machine.end(server, priority) == END(), "\(server), \(priority)")
      }
    }
    #expect(try [machine.ring(0), machine.ring(1)] == rings)
    #expect(!rig.resolves(rig.offset(6, .management)), "what never was is not")

    for source: UInt32 in [0, 1, 3] {
      rig.setPQ(source, .reset)
      try machine.trigger(source)
    }
    #expect(machine.counts.masked == 3)
    #expect(machine.guestErrors.end_invalid == 0)
    try machine.setQueue(0, 6)
    try machine.start(1, on: 0, eisn: 0x99)
    try machine.trigger(1)
    #expect(machine.entry(0, at: 0) == 0x8000_0099)
  }
}
