import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Delivery, as it is set up", .enabled(if: Requirement.canMount), .hangGuard)
struct DeliveryTests {
  private static let address = DeliveryRig.memoryAddress

  // MARK: - Guest memory

  @Test("A slot tells what it has, is free again when removed, and its queues are gone with it")
  func slots() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    let part = try GuestMemory(byteCount: 1 << 20)
    #expect(try rig.device.memory(slot: 1) == nil)
    try rig.device.addMemory(part, slot: 1, at: 0x10_0000, offset: 0x2_0000)
    let slot = try #require(try rig.device.memory(slot: 1))
    #expect(slot.address == 0x10_0000)
    #expect(slot.byteCount == 0xe_0000)
    #expect(slot.fileOffset == 0x2_0000)
    // The part's first byte is the slot's.
    try rig.device.configureQueue(0, 6, at: 0x10_0000)
    var queue = try EventQueue(part, at: 0x2_0000)
    try rig.route(3, to: 0, eisn: 77)
    try rig.device.trigger(3)
    #expect(queue.all() == [77])
    try rig.device.removeMemory(slot: 1)
    #expect(try rig.device.memory(slot: 1) == nil)
    #expect(try rig.device.queueState(0, 6) == nil)
    try vcpu.endOfInterrupt(3)
    try rig.device.trigger(3)
    #expect(queue.all() == [])
    #expect(try rig.device.guestErrors().endInvalid == 1)
  }

  @Test("Memory that was mapped from its middle is shown from there")
  func middle() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    let whole = try GuestMemory(byteCount: 0x3_0000)
    let part = try GuestMemory(
      mapping: whole.descriptor, fileOffset: 0x1_0000, byteCount: 0x2_0000)
    try rig.device.addMemory(part, slot: 1, at: 0, offset: 0x1_0000, byteCount: 0x1_0000)
    try rig.device.configureQueue(0, 6, at: 0)
    try rig.route(3, to: 0, eisn: 5)
    try rig.device.trigger(3)
    var queue = try EventQueue(whole, at: 0x2_0000)
    #expect(queue.all() == [5])
    withExtendedLifetime(vcpu) {}
  }

  @Test("Memory that the device cannot take is refused, by slot and with the reason")
  func refusedMemory() throws {
    let rig = try DeliveryRig()
    let memory = try GuestMemory(byteCount: 0x10_0000)
    func add(_ slot: UInt32, _ address: UInt64, _ offset: UInt64 = 0, _ count: UInt64? = nil)
      -> XIVEClientError?
    {
      refusal { () throws(XIVEClientError) in
        try rig.device.addMemory(memory, slot: slot, at: address, offset: offset, byteCount: count)
      }
    }
    let invalid = XIVEClientError.delivery(.memorySlot(1, .invalidArgument))
    let taken = XIVEClientError.delivery(.memorySlot(1, .fileExists))
    #expect(add(1, Self.address) == taken, "overlaps")
    #expect(add(1, 0x800) == invalid)
    #expect(add(1, 0, 0x800) == invalid)
    #expect(add(1, 0, 0, 0) == invalid, "would remove it")
    #expect(add(1, 0, 0x10_0000) == invalid, "nothing left")
    #expect(add(1, 0, 0x20_0000) == invalid)
    #expect(add(1, 0, 0x1000, 0x10_0000) == invalid)
    #expect(add(1, 0, .max - 0xfff, 0x1000) == invalid)
    let unknown = try #require(add(32, 0))
    #expect(unknown == .delivery(.memorySlot(32, .noSuchAddressOrDevice)))
    #expect(unknown.description == "memory slot 32: a device has the slots 0 to 31")
    #expect(
      refusal { () throws(XIVEClientError) in try rig.device.memory(slot: 32) } == unknown)
    #expect(
      refusal { () throws(XIVEClientError) in try rig.device.removeMemory(slot: 32) } == unknown)
    #expect(add(31, 0) == nil)
    #expect(
      DeliveryError.memorySlot(2, .noMemory).description
        == "memory slot 2: all slots together have at most 16 TiB, and the server must have room to map it: "
        + "remove another one first")
  }

  // MARK: - Queues

  @Test("A queue tells where the device writes next, and goes on from where it is told")
  func positions() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    #expect(try rig.device.queueState(0, 6) == nil)
    let last = QueuePosition(generation: true, index: 16_383)
    var queue = try rig.addQueue(0, 6, from: last)
    let state = try #require(try rig.device.queueState(0, 6))
    #expect(state.address == Self.address + 6 << 16)
    #expect(state.byteCount == 65_536)
    #expect(state.position == last)
    try rig.route(3, to: 0, eisn: 1)
    for eisn in [1, 2, 3] as [EISN] {
      try rig.device.configureSource(3, to: 0, 6, eisn: eisn)
      try rig.device.trigger(3)
      #expect(queue.all() == [eisn])
      try vcpu.endOfInterrupt(3)
    }
    #expect(queue.position == QueuePosition(generation: false, index: 2))
    #expect(try rig.device.queueState(0, 6)?.position == queue.position)
    try rig.device.disableQueue(0, 6)
    #expect(try rig.device.queueState(0, 6) == nil)
  }

  @Test("Queues survive their vCPU: another one goes on with them")
  func reconnect() throws {
    let rig = try DeliveryRig()
    var queue: EventQueue
    do {
      let vcpu = try rig.connect(0)
      queue = try rig.addQueue(0)
      try rig.route(3, to: 0, eisn: 3)
      try rig.device.trigger(3)
      withExtendedLifetime(vcpu) {}
    }
    #expect(queue.all() == [3])
    #expect(try rig.isDisconnected(from: 0))
    let again = try rig.connect(0)
    #expect(try rig.device.queueState(0, 6)?.position == queue.position)
    try again.endOfInterrupt(3)
    try rig.device.trigger(3)
    #expect(queue.all() == [3])
  }

  @Test("A queue that cannot be is refused, with what to do")
  func refusedQueues() throws {
    let rig = try DeliveryRig(["--create", "0-3", "--max-vcpus", "4"])
    let vcpu = try rig.connect(0)
    func configure(_ server: Server, _ priority: Priority, _ address: UInt64) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in
        try rig.device.configureQueue(server, priority, at: address)
      }
    }
    #expect(configure(0, 7, Self.address) == .delivery(.noSuchPriority(7)))
    #expect(configure(1, 6, Self.address) == .delivery(.notConnected(1)))
    #expect(configure(4, 6, Self.address) == .delivery(.noSuchServer(4, count: 4)))
    // 29 bits of a server number fit the attribute.
    #expect(configure(0x2000_0000, 6, Self.address)?.errno == .invalidArgument)
    for address in [Self.address + 0x1000, 0, Self.address + 4 << 20] {
      let error = configure(0, 6, address)
      #expect(error == .delivery(.queueAddress(0, 6, address)))
      #expect(error?.description.contains("one memory slot") == true)
    }
    let index = refusal { () throws(XIVEClientError) in
      try rig.device.configureQueue(
        0, 6, at: Self.address, from: QueuePosition(generation: true, index: 16_384))
    }
    #expect(index == .value("index", 16_384))
    #expect(
      refusal { () throws(XIVEClientError) in try rig.device.queueState(1, 6) }
        == .delivery(.notConnected(1)))
    #expect(
      refusal { () throws(XIVEClientError) in try rig.device.disableQueue(0, 7) }
        == .delivery(.noSuchPriority(7)))
    withExtendedLifetime(vcpu) {}
  }

  // MARK: - Routes

  @Test("A source that cannot be routed is refused, with what to do")
  func refusedRoutes() throws {
    let rig = try DeliveryRig(["--sources", "2048", "--create", "0-3", "--max-vcpus", "4"])
    let vcpu = try rig.connect(0)
    func route(_ lisn: LISN, _ server: Server, _ priority: Priority, _ eisn: EISN = 0)
      -> XIVEClientError?
    {
      refusal { () throws(XIVEClientError) in
        try rig.device.configureSource(lisn, to: server, priority, eisn: eisn)
      }
    }
    #expect(route(3, 0, 6) == .delivery(.noQueue(6)))
    let queue = try rig.addQueue(0)
    #expect(route(3, 0, 6, 0x7fff_ffff) == nil)
    #expect(route(3, 0, 7) == .delivery(.noSuchPriority(7)))
    #expect(route(2_048, 0, 6) == .noSuchSource(2_048, count: 2_048))
    #expect(route(1_024, 0, 6) == .notCreated(1_024), "nothing of its block was")
    #expect(route(9, 0, 6) == .delivery(.cannotRoute(9, 0)))
    #expect(route(3, 1, 6) == .delivery(.cannotRoute(3, 1)))
    #expect(route(3, 4, 6) == .delivery(.noSuchServer(4, count: 4)))
    for lisn in [9, 1_024] as [LISN] {
      #expect(
        refusal { () throws(XIVEClientError) in try rig.device.syncSource(lisn) }
          == .notCreated(lisn))
    }
    #expect(refusal { () throws(XIVEClientError) in try rig.device.syncSource(3) } == nil)
    withExtendedLifetime((vcpu.server, queue.position)) {}
  }

  @Test("Events of a source that is masked, or not routed, are dropped and counted")
  func masked() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.device.setPQ(of: 2, to: .reset)
    try rig.device.trigger(2)
    #expect(try rig.device.deliveryCounters().masked == 1, "as it was created")
    try rig.route(3, to: 0, eisn: 3)
    try rig.device.configureSource(3, to: 0, 6, eisn: 4, isMasked: true)
    try rig.device.trigger(3)
    #expect(queue.all() == [])
    #expect(try rig.device.deliveryCounters().masked == 2)
    #expect(try rig.device.deliveryCounters().entries == 0)
    withExtendedLifetime(vcpu) {}
  }

  @Test("A reset masks sources and takes queues away; synchronizing is allowed at any time")
  func reset() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    try rig.route(3, to: 0, eisn: 3)
    try rig.device.trigger(3)
    try rig.device.syncQueues()
    #expect(queue.all() == [3])
    #expect(try rig.device.queueState(0, 6)?.position == queue.position)
    try rig.device.reset()
    #expect(try rig.device.queueState(0, 6) == nil)
    #expect(try rig.device.pq(of: 3) == .off)
    try rig.device.setPQ(of: 3, to: .reset)
    try rig.device.trigger(3)
    #expect(queue.all() == [])
    try rig.device.syncQueues()
    withExtendedLifetime(vcpu) {}
  }

  // MARK: - ENDs

  @Test("An END's words can be set to what a queue's attribute cannot say")
  func words() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(1)
    var queue = try rig.addQueue(1)
    let index = ENDIndex(1, 6)
    var end = try rig.device.end(at: index)
    #expect(end.queue == (try rig.device.queueState(1, 6)))
    #expect(end.target == NVTIndex(1) && end.rawPriority == 6 && end.notifiesAlways)
    // Coalescing: notify once, until software re-arms it; the queue half as large.
    try vcpu.setCPPR(0xff)
    end.notifiesAlways = false
    end.w0 = end.w0 & ~0xf_0000 | 3 << 16
    try rig.device.setEND(at: index, to: end)
    try rig.route(3, to: 1, eisn: 3)
    try rig.route(4, to: 1, eisn: 4)
    try rig.device.trigger(3)
    try rig.device.trigger(4)
    #expect(queue.all() == [3, 4])
    #expect(try rig.device.deliveryCounters().notified == 1)
    #expect(try rig.device.deliveryCounters().coalesced == 1)
    end[.notification] = .queued
    end.queueIndex = 2
    #expect(try rig.device.end(at: index) == end, "all of its words")
    try rig.device.setEND(at: index, to: END())
    #expect(try !rig.device.end(at: index).isValid)
  }

  @Test("An END that the device does not have, or cannot take, is refused")
  func refusedENDs() throws {
    let rig = try DeliveryRig(["--max-vcpus", "4"])
    let last = ENDIndex(3, 7)
    let next = ENDIndex(rawValue: last.rawValue + 1)
    let beyond = refusal { () throws(XIVEClientError) in try rig.device.end(at: next) }
    #expect(beyond == .delivery(.end(32, .argListTooLong)))
    #expect(beyond?.description == "END 32: this device has 8 for each of its servers")
    let unaligned = END(notifying: 3, 7, queueAddress: Self.address + 0x1000)
    let queue = refusal { () throws(XIVEClientError) in
      try rig.device.setEND(at: last, to: unaligned)
    }
    #expect(queue == .delivery(.end(31, .invalidArgument)))
    #expect(
      refusal { () throws(XIVEClientError) in
        try rig.device.setEND(
          at: last, to: END(notifying: 3, 7, queueAddress: Self.address + 0x1000, queueShift: 12))
      } == nil)
  }

  @Test("A descriptor for reading looks, and changes nothing")
  func readOnly() throws {
    let rig = try DeliveryRig()
    let vcpu = try rig.connect(0)
    let queue = try rig.addQueue(0)
    let reader = try XIVEDescriptor(rig.served.path, isWritable: false)
    #expect(try reader.queueState(0, 6) == rig.device.queueState(0, 6))
    #expect(try reader.context(of: 0)?.isPushed == true)
    #expect(try reader.memory(slot: 0)?.address == Self.address)
    let memory = rig.memory
    let refusals = [
      refusal { () throws(XIVEClientError) in try reader.disableQueue(0, 6) },
      refusal { () throws(XIVEClientError) in
        try reader.configureSource(3, to: 0, 6, eisn: 3)
      },
      refusal { () throws(XIVEClientError) in try reader.addMemory(memory, slot: 1, at: 0) },
      refusal { () throws(XIVEClientError) in try reader.removeMemory(slot: 0) },
      refusal { () throws(XIVEClientError) in try reader.setEND(at: ENDIndex(0, 6), to: END()) },
      refusal { () throws(XIVEClientError) in try reader.reset() },
      refusal { () throws(XIVEClientError) in try reader.setServerCount(4) },
      refusal { () throws(XIVEClientError) in try reader.pullContext(of: 0) },
      refusal { () throws(XIVEClientError) in try reader.pushContext(of: 0) },
    ]
    for error in refusals { #expect(error?.errno == .badFileDescriptor) }
    #expect(try rig.device.queueState(0, 6)?.position == queue.position)
    #expect(try rig.device.context(of: 0)?.isPushed == true)
    withExtendedLifetime(vcpu) {}
  }
}
