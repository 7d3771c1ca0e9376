import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("vCPU state", .enabled(if: Requirement.canMount), .hangGuard)
struct VPStateTests {
  @Test("A vCPU's state is the same by its own descriptor and by any")
  func same() throws {
    let rig = try DeliveryRig()
    #expect(try !rig.device.vpState(of: 2).isConnected && !rig.device.vpState(of: 2).isPresent)
    let vcpu = try rig.connect(2)
    let queue = try rig.addQueue(2)
    try rig.route(3, to: 2, eisn: 3)
    try vcpu.setCPPR(5)
    try rig.device.trigger(3)
    let state = try rig.device.vpState(of: 2)
    #expect(state.isConnected && state.isPresent)
    #expect(state.ring.cppr == 5 && state.ring.ipb == 0x02)
    #expect(state.ring.w23 == 0)
    #expect(try vcpu.state() == state.ring)

    var ring = state.ring
    ring.cppr = 0xff
    ring.ipb = 0x22
    try vcpu.setState(ring)
    #expect(try vcpu.cppr() == 0xff)
    #expect(vcpu.wait(milliseconds: 10_000) == true)
    #expect(try vcpu.acknowledge().priority == 2)
    #expect(try vcpu.acknowledge().priority == nil)
    try vcpu.setCPPR(0xff)
    #expect(try vcpu.acknowledge().priority == 6)

    try rig.device.setVPState(state, of: 2)
    #expect(try vcpu.cppr() == 5)
    #expect(try rig.device.vpState(of: 2) == state)
    withExtendedLifetime(queue) {}
  }

  @Test("What is set for a vCPU that is not there is what it begins with")
  func parked() throws {
    let rig = try DeliveryRig()
    var ring = RingState()
    ring.cppr = 0xff
    ring.ipb = 0x10
    ring.w23 = .max
    let state = VPState(ring)
    #expect(state.ring.w23 == 0 && !state.isConnected && !state.isPresent)
    try rig.device.setVPState(state, of: 4)
    let kept = try rig.device.vpState(of: 4)
    #expect(kept.isPresent && !kept.isConnected)
    #expect(kept.ring.cppr == 0xff && kept.ring.ipb == 0x10)
    #expect(try !rig.device.vpState(of: 3).isPresent)
    let vcpu = try rig.connect(4)
    #expect(try vcpu.acknowledge().priority == 3)
    #expect(try rig.device.vpState(of: 4).isConnected)
  }

  @Test("What is set can be what was read: of it the ring counts")
  func again() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    try vcpu.setCPPR(3)
    let state = try rig.device.vpState(of: 0)
    try rig.device.setVPState(state, of: 1)
    let other = try rig.device.vpState(of: 1)
    #expect(other.ring.cppr == 3 && !other.isConnected)
  }

  @Test("A server beyond the device's, or beyond the limit, is refused")
  func beyond() throws {
    let served = try ServedDevice(["--max-vcpus", "8"])
    let device = try XIVEDescriptor(served.path)
    try device.setServerCount(2)
    for server in [2, 8, 99] as [Server] {
      let error = XIVEClientError.delivery(.noSuchServer(server, count: 8))
      #expect(refusal { () throws(XIVEClientError) in try device.vpState(of: server) } == error)
      #expect(
        refusal { () throws(XIVEClientError) in
          try device.setVPState(VPState(RingState()), of: server)
        } == error)
    }
    #expect(try !device.vpState(of: 1).isConnected)
  }
}
