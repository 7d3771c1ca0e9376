import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Messages and lines", .enabled(if: Requirement.canMount), .hangGuard)
struct MessageTests {
  private static let requester = RequesterID(rawValue: 0x10_0100)
  private static let address: UInt64 = 0x1000_0000_0000_0040

  private func message(_ data: UInt32) -> Message { Message(at: Self.address, data) }

  private func route(_ first: UInt32, to lisn: LISN, count: UInt32) -> MessageRoute {
    MessageRoute(of: Self.requester, message(first), to: lisn, count: count)
  }

  @Test("A message triggers the source of its place in the route, and its target can be asked")
  func sent() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(3)
    var queue = try rig.addQueue(3, 5)
    try rig.route(10, to: 3, 5, eisn: 1_010)
    try rig.device.addRoute(route(0x20, to: 8, count: 4))
    let target = try rig.device.target(of: message(0x22), from: Self.requester)
    #expect(target.lisn == 10)
    #expect(target.delivery?.server == 3 && target.delivery?.priority == 5)
    #expect(target.delivery?.eisn == 1_010)
    #expect(queue.all() == [])
    #expect(try rig.device.send(message(0x22), from: Self.requester))
    #expect(queue.all() == [1_010])
    // Off, and masked.
    let masked = try rig.device.target(of: message(0x21), from: Self.requester)
    #expect(masked.lisn == 9 && masked.delivery == nil)
    #expect(try !rig.device.send(message(0x21), from: Self.requester))
    try rig.device.setPQ(of: 10, to: .off)
    #expect(try !rig.device.send(message(0x22), from: Self.requester))
    #expect(queue.all() == [])
    withExtendedLifetime(vcpu) {}
  }

  @Test("A message that nothing takes is refused: by data, by address, by requester, and removed")
  func unknown() throws {
    let rig = try DeliveryRig()
    try rig.device.addRoute(route(0x20, to: 8, count: 4))
    let high = Message(at: Self.address ^ 1 << 60, 0x20)
    let cases: [(Message, RequesterID)] = [
      (message(0x1f), Self.requester), (message(0x24), Self.requester), (high, Self.requester),
      (message(0x20), RequesterID(rawValue: 0x100)),
    ]
    func expectUnknown(_ message: Message, _ requester: RequesterID) {
      let expected = XIVEClientError.injection(.noSuchMessage(requester, message))
      let sent = refusal { () throws(XIVEClientError) in
        try rig.device.send(message, from: requester)
      }
      let asked = refusal { () throws(XIVEClientError) in
        try rig.device.target(of: message, from: requester)
      }
      #expect(sent == expected && asked == expected)
      #expect(sent?.errno == .noSuchFileOrDirectory)
    }
    for (message, requester) in cases { expectUnknown(message, requester) }
    let middle = message(0x21)
    #expect(
      refusal { () throws(XIVEClientError) in
        try rig.device.removeRoute(of: Self.requester, from: middle)
      } == .injection(.noSuchRoute(Self.requester, middle)))
    try rig.device.removeRoute(of: Self.requester, from: message(0x20))
    expectUnknown(message(0x20), Self.requester)
  }

  @Test("A route that cannot be is refused, and the one that was there stays")
  func refused() throws {
    let rig = try DeliveryRig(["--sources", "64", "--create", "0-31"])
    try rig.device.createSource(20, isLSI: true)
    try rig.device.addRoute(route(0x20, to: 8, count: 4))
    func add(_ route: MessageRoute) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in try rig.device.addRoute(route) }
    }
    let overlapping = route(0x23, to: 0, count: 1)
    #expect(add(overlapping) == .injection(.routeExists(overlapping)))
    let level = route(0x40, to: 18, count: 3)
    #expect(add(level) == .injection(.cannotRoute(level)))
    let absent = route(0x40, to: 30, count: 3)
    #expect(add(absent) == .injection(.cannotRoute(absent)))
    #expect(add(route(0x40, to: 60, count: 5)) == .noSuchSource(64, count: 64))
    let none = route(0x20, to: 0, count: 0)
    #expect(add(none) == .injection(.routeCount(none)))
    let wrapping = route(.max, to: 0, count: 2)
    #expect(add(wrapping) == .injection(.routeCount(wrapping)))
    #expect(add(route(.max, to: 0, count: 1)) == nil)
    #expect(try rig.device.target(of: message(0x20), from: Self.requester).lisn == 8)
  }

  @Test("While a source is mapped to hardware its events come from there")
  func passedThrough() throws {
    let rig = try DeliveryRig(["--create", "0-31", "--phb", "2:8:2"])
    try rig.device.addRoute(route(0, to: 8, count: 4))
    try rig.device.map(PassthroughRun(9, to: 2, 5, count: 1))
    let expected = XIVEClientError.injection(.passedThrough(9, PassthroughTarget(2, 5)))
    #expect(
      refusal { () throws(XIVEClientError) in
        try rig.device.send(message(1), from: Self.requester)
      } == expected)
    #expect(
      refusal { () throws(XIVEClientError) in try rig.device.setLine(of: 9, to: true) }
        == expected)
    #expect(expected.errno == .invalidArgument)
    #expect(try rig.device.injectionCounters().refused == 2)
    try rig.device.unmap(PassthroughRun(9, to: 2, 5, count: 1))
    try rig.device.send(message(1), from: Self.requester)
    #expect(try rig.device.pq(of: 9) == .queued)
  }

  @Test("An LSI fires while its line is held, a source that sends messages at each raise")
  func lines() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.device.createSource(5, isLSI: true)
    try rig.route(5, to: 0, eisn: 5)
    try rig.route(6, to: 0, eisn: 6)
    #expect(try rig.device.setLine(of: 5, to: true))
    #expect(try rig.device.sourceRecord(of: 5).isAsserted)
    #expect(try !rig.device.setLine(of: 5, to: true))
    #expect(queue.all() == [5])
    try vcpu.endOfLevelInterrupt(5)
    #expect(queue.all() == [5])
    #expect(try !rig.device.setLine(of: 5, to: false))
    #expect(try !rig.device.sourceRecord(of: 5).isAsserted)
    try vcpu.endOfLevelInterrupt(5)
    #expect(queue.all() == [])

    #expect(try rig.device.setLine(of: 6, to: true))
    #expect(try !rig.device.setLine(of: 6, to: false))
    #expect(queue.all() == [6])
    #expect(try rig.device.injectionCounters().lines == 5)
  }

  @Test("A line of a source that is not there is refused, and by a descriptor for reading")
  func noLine() throws {
    let rig = try DeliveryRig(["--sources", "64", "--create", "0-31"])
    func raise(_ lisn: LISN) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in try rig.device.setLine(of: lisn, to: true) }
    }
    #expect(raise(40) == .notCreated(40))
    #expect(raise(64) == .noSuchSource(64, count: 64))
    try rig.device.reset()
    try rig.device.setSourceCount(32)
    #expect(raise(40) == .noSuchSource(40, count: 32))
    try rig.device.addRoute(route(0, to: 8, count: 4))
    let reader = try XIVEDescriptor(rig.served.path, isWritable: false)
    #expect(try reader.target(of: message(1), from: Self.requester).lisn == 9)
    let refusals = [
      refusal { () throws(XIVEClientError) in try reader.setLine(of: 1, to: true) },
      refusal { () throws(XIVEClientError) in try reader.send(message(1), from: Self.requester) },
      refusal { () throws(XIVEClientError) in
        try reader.addRoute(MessageRoute(of: Self.requester, message(9), to: 0))
      },
      refusal { () throws(XIVEClientError) in
        try reader.removeRoute(of: Self.requester, from: message(0))
      },
    ]
    for error in refusals { #expect(error?.errno == .badFileDescriptor) }
    #expect(try reader.injectionCounters().lines == 0)
    #expect(try reader.injectionCounters().messages == 0)
  }
}
