import Glibc
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("vCPU", .enabled(if: Requirement.canMount), .hangGuard)
struct VCPUTests {
  @Test("An event is written, raises the vCPU, is acknowledged and ended")
  func event() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.route(3, to: 0, eisn: 0x12345)
    #expect(try "\(vcpu.ring())" == "NSR 00 CPPR 00 IPB 00 PIPR ff")
    try vcpu.setCPPR(0xff)
    #expect(try vcpu.cppr() == 0xff)
    #expect(vcpu.wait(milliseconds: 0) == false)
    let none = try vcpu.acknowledge()
    #expect(none.nsr == 0 && none.cppr == 0xff && !none.hasInterrupt)

    try rig.device.trigger(3)
    #expect(vcpu.wait(milliseconds: 10_000) == true)
    #expect(try "\(vcpu.ring())" == "NSR 80 CPPR ff IPB 02 PIPR 06")
    #expect(queue.next() == 0x12345)
    let first = try vcpu.acknowledge()
    #expect(first.nsr == 0x80 && first.cppr == 6)
    #expect(first.hasInterrupt && first.priority == 6)
    #expect(try "\(vcpu.ring())" == "NSR 00 CPPR 06 IPB 00 PIPR ff")
    #expect(vcpu.wait(milliseconds: 0) == false)

    // Its own priority is not let through before CPPR goes back.
    #expect(try !vcpu.endOfInterrupt(3))
    try rig.device.trigger(3)
    #expect(try "\(vcpu.ring())" == "NSR 00 CPPR 06 IPB 02 PIPR 06")
    #expect(vcpu.wait(milliseconds: 0) == false)
    try vcpu.setCPPR(7)
    #expect(vcpu.wait(milliseconds: 10_000) == true)
    // Lowered again below what is pending, the line drops.
    try vcpu.setCPPR(5)
    #expect(vcpu.wait(milliseconds: 0) == false)
    #expect(try !vcpu.acknowledge().hasInterrupt)
    #expect(queue.all() == [0x12345])
  }

  @Test("More favored priorities come first, each from its own queue")
  func priorities() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(1)
    var low = try rig.addQueue(1, 6)
    var high = try rig.addQueue(1, 2)
    try rig.route(4, to: 1, 6, eisn: 60)
    try rig.route(5, to: 1, 2, eisn: 20)
    try vcpu.setCPPR(0xff)
    try rig.device.trigger(4)
    try rig.device.trigger(5)
    #expect(try vcpu.acknowledge().priority == 2)
    #expect(high.all() == [20])
    #expect(try vcpu.acknowledge().priority == nil)
    try vcpu.setCPPR(0xff)
    #expect(try vcpu.acknowledge().priority == 6)
    #expect(low.all() == [60])
    try vcpu.setPending(3)
    #expect(try "\(vcpu.ring())" == "NSR 80 CPPR 06 IPB 10 PIPR 03")
    #expect(try vcpu.acknowledge().priority == 3)
    #expect(high.next() == nil && low.next() == nil)
  }

  @Test(
    "An end of interrupt triggers again what came meanwhile, exactly once", arguments: [1, 2])
  func endOfInterrupt(pagesPerSource: Int) throws {
    let rig = try DeliveryRig(["--create", "0-31", "--esb-pages", "\(pagesPerSource)"])
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.route(3, to: 0, eisn: 3)
    for _ in 0..<5 { try rig.device.trigger(3) }
    #expect(try rig.device.pq(of: 3) == .queued)
    #expect(queue.all() == [3])
    #expect(try vcpu.endOfInterrupt(3))
    #expect(queue.all() == [3])
    #expect(try rig.device.pq(of: 3) == .pending)
    #expect(try !vcpu.endOfInterrupt(3))
    #expect(queue.all() == [])
    #expect(try rig.device.pq(of: 3) == .reset)
    // A fenced or absent page has no state and nothing to trigger.
    #expect(try !vcpu.endOfInterrupt(40))
  }

  @Test("An LSI comes again at its end while its line is held")
  func level() throws {
    let rig = try DeliveryRig(["--phb", "0:0:1"])
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.device.createSource(9, isLSI: true)
    try rig.device.map(PassthroughRun(9, to: 0, 0, count: 1))
    try rig.route(9, to: 0, eisn: 9)
    try rig.device.perform(.assert, phb: 0, irq: 0)
    #expect(queue.all() == [9])
    try vcpu.endOfLevelInterrupt(9)
    #expect(queue.all() == [9])
    try rig.device.perform(.deassert, phb: 0, irq: 0)
    try vcpu.endOfLevelInterrupt(9)
    #expect(queue.all() == [])
    #expect(try rig.device.pq(of: 9) == .reset)
  }

  @Test("A server has one vCPU at a time, and is free again when it goes")
  func taken() throws {
    let rig = try DeliveryRig(["--max-vcpus", "4"])
    let path = rig.served.path
    do {
      let vcpu = try rig.connect(3)
      let server = vcpu.server
      #expect(server == 3)
      #expect(try rig.device.deliveryCounters().vcpus == 1)
      let error = refusal { () throws(XIVEClientError) in try VCPU(path, server: 3) }
      #expect(error == .delivery(.serverTaken(3)) && error?.errno == .fileExists)
      let beyond = refusal { () throws(XIVEClientError) in try VCPU(path, server: 4) }
      #expect(beyond == .delivery(.noSuchServer(4, count: 4)))
      #expect(beyond?.errno == .invalidArgument)
      withExtendedLifetime(vcpu) {}
    }
    #expect(try rig.isDisconnected(from: 0))
    let again = try rig.connect(3)
    #expect(try again.cppr() == 0)
    #expect(try descriptorCount(of: path) == 2)
  }

  @Test("Server numbers can be limited before the first vCPU connects, not after")
  func serverCount() throws {
    let rig = try DeliveryRig(["--max-vcpus", "8"])
    let path = rig.served.path
    func limit(_ count: UInt32) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in try rig.device.setServerCount(count) }
    }
    #expect(limit(0) == .delivery(.serverCount(0, .invalidArgument)))
    #expect(limit(2) == nil)
    #expect(
      refusal { () throws(XIVEClientError) in try VCPU(path, server: 2) }?.errno
        == .invalidArgument)
    let vcpu = try rig.connect(1)
    #expect(limit(3) == .delivery(.serverCount(3, .resourceBusy)))
    #expect(limit(3)?.description.contains("before the first") == true)
    withExtendedLifetime(vcpu) {}
  }

  @Test("What comes while the context is pulled is pending when it is pushed")
  func context() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(2)
    var queue = try rig.addQueue(2)
    try rig.route(3, to: 2, eisn: 3)
    try vcpu.setCPPR(0xff)
    #expect(try rig.device.context(of: 2)?.isPushed == true)
    #expect(try rig.device.pullContext(of: 2))
    #expect(try rig.device.context(of: 2)?.isPushed == false)
    #expect(try !rig.device.pullContext(of: 2))
    try rig.device.trigger(3)
    #expect(queue.all() == [3])
    #expect(vcpu.wait(milliseconds: 0) == false)
    #expect(try rig.device.deliveryCounters().backlogged == 1)
    try rig.device.pushContext(of: 2)
    #expect(vcpu.wait(milliseconds: 10_000) == true)
    let pushed = try #require(try rig.device.context(of: 2))
    #expect(pushed.isPushed && pushed.ring.hasInterrupt)
    #expect(pushed.word2 == 0x8000_0402)
    #expect(try vcpu.acknowledge().priority == 6)
  }

  @Test("A server that is not connected has no context; one beyond the device's is refused")
  func absent() throws {
    let rig = try DeliveryRig(["--max-vcpus", "4"])
    #expect(try rig.device.context(of: 1) == nil)
    let pull = refusal { () throws(XIVEClientError) in try rig.device.pullContext(of: 1) }
    #expect(pull == .delivery(.notConnected(1)) && pull?.errno == .noSuchFileOrDirectory)
    try rig.device.pushContext(of: 1)
    #expect(try rig.device.context(of: 1) == nil)
    let beyond = XIVEClientError.delivery(.noSuchServer(4, count: 4))
    #expect(refusal { () throws(XIVEClientError) in try rig.device.pullContext(of: 4) } == beyond)
    #expect(refusal { () throws(XIVEClientError) in try rig.device.pushContext(of: 4) } == beyond)
    #expect(refusal { () throws(XIVEClientError) in try rig.device.context(of: 4) } == beyond)
  }

  @Test("The waiter learns of the server's end")
  func dead() throws {
    var served = try ServedDevice()
    let vcpu = try VCPU(served.path, server: 0)
    #expect(vcpu.wait(milliseconds: 50) == false)
    served.signal(SIGKILL)
    #expect(served.exitCode() == 128 + SIGKILL)
    #expect(vcpu.wait(milliseconds: 10_000) == true)
    #expect(
      refusal { () throws(XIVEClientError) in try vcpu.acknowledge() }?.errno
        == .socketNotConnected)
  }

  @Test("A register is loaded in its size; another size gives all ones, and counts")
  func sizes() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    let os = vcpu.device.map.offset(of: .connectedTIMA(.os))
    let before = try rig.device.guestErrors().timaAccess
    #expect(try vcpu.device.load(at: os + 0x810, byteCount: 2) == 0)
    #expect(try vcpu.device.load(at: os + 0x810, byteCount: 1) == 0xff)
    #expect(try vcpu.device.load(at: os + 0x810, byteCount: 4) == 0xffff_ffff)
    #expect(try vcpu.device.load(at: os + 0x810, byteCount: 8) == .max)
    try vcpu.device.store(0xff, at: os + 0x11, byteCount: 2 - 1)
    #expect(try vcpu.cppr() == 0xff)
    #expect(try rig.device.guestErrors().timaAccess == before + 3)
    for (offset, byteCount) in [(os + 0x810, 3), (os + 0x811, 2), (os + 0x10, 7)] {
      let load = refusal { () throws(XIVEClientError) in
        try vcpu.device.load(at: offset, byteCount: byteCount)
      }
      #expect(load == .access(offset: offset, byteCount: byteCount))
      #expect(load?.errno == .invalidArgument)
      let store = refusal { () throws(XIVEClientError) in
        try vcpu.device.store(0, at: offset, byteCount: byteCount)
      }
      #expect(store == load)
    }
    let page = rig.device.map.offset(of: .esb(3, .management)) + 0x800
    let esb = refusal { () throws(XIVEClientError) in try rig.device.load(at: page, byteCount: 4) }
    #expect(esb == .access(offset: page, byteCount: 4))
    #expect(esb?.description.contains("4 bytes") == true)
  }
}
