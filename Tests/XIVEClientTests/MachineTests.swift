import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Machine", .enabled(if: Requirement.canMount), .hangGuard)
struct MachineTests {
  @Test("The number of sources is set once, to what the device has room for")
  func sourceCount() throws {
    let served = try ServedDevice(["--sources", "64"])
    let device = try XIVEDescriptor(served.path)
    func set(_ count: UInt32) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in try device.setSourceCount(count) }
    }
    #expect(try device.sourceCount() == 64)
    #expect(set(0) == .machine(.sourceCount(0, limit: 64, .invalidArgument)))
    #expect(set(65) == .machine(.sourceCount(65, limit: 64, .argListTooLong)))
    try device.createSource(40)
    #expect(set(40) == .machine(.sourceCount(40, limit: 64, .resourceBusy)))
    #expect(try device.sourceCount() == 64)
    #expect(set(48) == nil)
    #expect(set(48) == nil)
    #expect(set(49) == .machine(.sourceCount(49, limit: 64, .resourceBusy)))
    #expect(try device.sourceCount() == 48)
    #expect(device.geometry.sourceCount == 64)

    // Behind them there is nothing, and whoever asks learns where they end.
    try device.createSource(47)
    let beyond = refusal { () throws(XIVEClientError) in try device.createSource(50) }
    #expect(beyond == .noSuchSource(50, count: 48))
    let records = refusal { () throws(XIVEClientError) in try device.sourceRecords(40..<49) }
    #expect(records == .noSuchSource(48, count: 48))
    #expect(try device.sourceRecords(40..<48).map(\.isCreated).filter(\.self).count == 2)
  }

  @Test("The number of servers can be read; setting another one is refused")
  func serverCount() throws {
    let served = try ServedDevice(["--max-vcpus", "8"])
    let device = try XIVEDescriptor(served.path)
    #expect(try device.serverCount() == 8)
    try device.setServerCount(4)
    try device.setServerCount(4)
    #expect(try device.serverCount() == 4)
    let again = refusal { () throws(XIVEClientError) in try device.setServerCount(5) }
    #expect(again == .delivery(.serverCount(5, .resourceBusy)))
    #expect(try device.serverCount() == 4)
  }

  @Test("An address is set once, before the first vCPU, aligned and apart from the other")
  func addresses() throws {
    let rig = try DeliveryRig(["--sources", "64", "--create", "0-31"])
    let device = rig.device.map
    func set(_ window: AddressWindow, _ address: UInt64) -> Errno? {
      let error = refusal { () throws(XIVEClientError) in
        try rig.device.setAddress(of: window, to: address)
      }
      if let error, case .machine(.address(window, address, let reason)) = error { return reason }
      return error?.errno
    }
    #expect(device.pageByteCount == 4_096)
    #expect(try rig.device.address(of: .tima) == nil)
    #expect(set(.tima, 0x1234) == .invalidArgument)
    #expect(set(.tima, 0xffff_ffff_ffff_d000) == .invalidArgument)
    #expect(set(.tima, 0x6030_2031_8000) == nil)
    #expect(set(.tima, 0x6030_2032_8000) == .fileExists)
    #expect(try rig.device.address(of: .tima) == 0x6030_2031_8000)
    // The ESB window has two pages for each of 64 sources.
    #expect(set(.esb, 0x6030_2031_8000 - 127 * 4_096) == .invalidArgument)
    #expect(set(.esb, 0x6030_2031_b000) == .invalidArgument)
    #expect(try rig.device.address(of: .esb) == nil)
    let vcpu = try rig.connect(0)
    #expect(set(.esb, 0x6030_2031_c000) == .resourceBusy)
    #expect(try rig.device.address(of: .esb) == nil)
    withExtendedLifetime(vcpu) {}
  }

  @Test("A reset without vCPUs forgets addresses and limits")
  func reset() throws {
    let served = try ServedDevice(["--sources", "64", "--max-vcpus", "8"])
    let device = try XIVEDescriptor(served.path)
    try device.setAddress(of: .esb, to: 0x10000)
    try device.setSourceCount(32)
    try device.setServerCount(2)
    try device.reset()
    #expect(try device.address(of: .esb) == nil)
    #expect(try device.sourceCount() == 64)
    #expect(try device.serverCount() == 8)
    try device.setAddress(of: .esb, to: 0x20000)
    #expect(try device.address(of: .esb) == 0x20000)
  }

  @Test("While the machine is stopped events wait at their sources; each is delivered once")
  func stopped() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.route(3, to: 0, eisn: 3)
    try rig.route(4, to: 0, eisn: 4)
    #expect(try rig.device.isRunning())
    try rig.device.stopMachine()
    #expect(try !rig.device.isRunning())
    for _ in 0..<3 { try rig.device.trigger(3) }
    #expect(queue.all() == [])
    let records = try rig.device.sourceRecords(3..<5)
    #expect(records.map(\.isLatched) == [true, false])
    #expect(records.map(\.pq) == [.queued, .reset])
    try rig.device.resumeMachine()
    #expect(try rig.device.isRunning())
    #expect(queue.all() == [3])
    try rig.device.stopMachine()
    try rig.device.resumeMachine()
    #expect(queue.all() == [])
    #expect(try rig.device.sourceRecord(of: 3).isLatched == false)
    withExtendedLifetime(vcpu) {}
  }

  @Test("A descriptor for reading asks, and changes nothing")
  func readOnly() throws {
    let served = try ServedDevice(["--sources", "64"])
    let reader = try XIVEDescriptor(served.path, isWritable: false)
    #expect(try reader.sourceCount() == 64)
    #expect(try reader.isRunning())
    #expect(try reader.address(of: .tima) == nil)
    #expect(try reader.sourceRecords(0..<2) == [.absent, .absent])
    #expect(try !reader.vpState(of: 0).isPresent)
    let record = SourceRecord(pq: .reset)
    let refusals = [
      refusal { () throws(XIVEClientError) in try reader.setSourceCount(32) },
      refusal { () throws(XIVEClientError) in try reader.setAddress(of: .tima, to: 0) },
      refusal { () throws(XIVEClientError) in try reader.stopMachine() },
      refusal { () throws(XIVEClientError) in try reader.setSourceRecords([record], from: 0) },
      refusal { () throws(XIVEClientError) in
        try reader.setVPState(VPState(RingState(w01: 5)), of: 0)
      },
    ]
    for error in refusals {
      #expect(error?.errno == .badFileDescriptor)
      #expect(error?.description.hasSuffix("not open for writing: open it so") == true)
    }
    #expect(try reader.sourceCount() == 64)
    #expect(try reader.isRunning())
    #expect(try reader.sourceRecords(0..<1) == [.absent])
  }
}
