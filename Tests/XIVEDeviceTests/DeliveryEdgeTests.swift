import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Delivery at its edges")
struct DeliveryEdgeTests {
  /// A device whose first servers have vCPUs.
  private func rig(_ connected: UInt32, servers: UInt32 = 4, geometry: ESBGeometry = .two4K) throws
    -> Rig
  {
    let rig = Rig(servers: servers, geometry: geometry)
    for server in 0..<connected {
      let opener = Opener(id: 100 + UInt64(server), isWritable: true)
      try rig.device.connect(opener, to: Server(rawValue: server)).completion()
    }
    return rig
  }

  /// An END that tells server 0 of each event, and has no queue.
  private var bareEND: END {
    var end = END()
    end.isValid = true
    end.notifiesAlways = true
    end.w6 = NVTIndex(Server(rawValue: 0)).rawValue
    return end
  }

  @Test("All slots together have 16 TiB, and what is refused or removed takes nothing of it")
  func memoryLimit() throws {
    let rig = Rig()
    let caller = EndlessMemory()
    let half: UInt64 = 1 << 43
    for _ in 0..<3 {
      try share(half, at: 0, slot: 0, rig, caller)
      #expect(throws: DeviceError.exists) { try share(half, at: 0, slot: 1, rig, caller) }
      try share(half, at: half, slot: 1, rig, caller)
      let calls = caller.calls
      #expect(throws: DeviceError.outOfMemory) {
        try share(4_096, at: 2 * half, slot: 2, rig, caller)
      }
      #expect(caller.calls == calls, "nothing is mapped first")
      try rig.device.removeMemory(0)
      try rig.device.removeMemory(1)
    }
    #expect(throws: DeviceError.outOfMemory) {
      try share(1 << 60 - 4_096, at: 0, slot: 2, rig, caller)
    }
  }

  private func share(
    _ byteCount: UInt64, at address: UInt64, slot: UInt64, _ rig: Rig, _ caller: any Caller
  ) throws(DeviceError) {
    let value = xive_memory(gpa: address, size: byteCount, fd: 3, zero: 0, offset: 0)
    let padding = [UInt8](repeating: 0, count: Int(XIVE_ATTR_DATA_SIZE) - value.bytes.count)
    let input =
      UInt32(0).memoryBytes + XIVE_GROUP_MEMORY.memoryBytes + slot.memoryBytes + value.bytes
      + padding
    _ = try rig.control(xive_set_attr_request, input, memory: caller)
  }

  @Test(
    "vCPUs, and neighbours among sources and servers, are counted apart",
    arguments: [ESBGeometry.two4K, .two64K])
  func stripes(geometry: ESBGeometry) throws {
    let rig = try rig(16, servers: 16, geometry: geometry)
    let map = rig.map
    let descriptors = (0..<16).map { number in
      rig.device.stripe(
        of: map.offset(of: .connectedTIMA(.os)) + 0x810,
        by: Opener(id: 100 + number, isWritable: true))
    }
    #expect(Set(descriptors.map { $0 & 15 }).count == 16)
    let servers = (0..<16).map { number in
      rig.device.stripe(of: map.offset(of: .tima(Server(rawValue: number), .os)))
    }
    #expect(Set(servers.map { $0 & 15 }).count == 16)
    let ends = (0..<16).map { number in
      rig.device.stripe(of: map.offset(of: .end(index: number * 8 + 6, .notification)))
    }
    #expect(Set(ends.map { $0 & 15 }).count == 16)
    for window in ESBWindow.allCases {
      for half in [ESBHalf.trigger, .management] {
        let sources = (0..<16).map { number in
          rig.device.stripe(of: rig.offset(number, half, window))
        }
        #expect(Set(sources.map { $0 & 15 }).count >= 15)
      }
    }
  }

  @Test("A descriptor that may not write changes no END, and is told so while there is one")
  func readOnlyENDs() throws {
    let rig = try rig(1)
    let index = ENDIndex(rawValue: 3)
    let page = rig.map.offset(of: .end(index: 3, .notification))
    #expect(try rig.load(page + 0xd00, by: Rig.reader) == .max)
    try rig.device.setEND(at: index, to: bareEND)
    #expect(throws: DeviceError.badDescriptor) { try rig.load(page + 0xd00, by: Rig.reader) }
    #expect(try rig.load(page + 0x800, by: Rig.reader) == 0)
    #expect(try rig.load(page + 0xd00) == 0)
    #expect(try rig.load(page + 0x800, by: Rig.reader) == 1)
  }
}

@Suite("RESET and others", .hangGuard)
struct ResetAndOthersTests {
  /// Counts the wake-ups, each of which takes its time.
  private final class SlowHost: DeviceHost {
    let wakeUps = Atomic<Int>(0)
    let hasPolled = Atomic<Bool>(false)
    /// Whether a poll had been answered before the last wake-up.
    let wasInTime = Atomic<Bool>(false)

    func updatesAreReady() {
      wakeUps.wrappingAdd(1, ordering: .sequentiallyConsistent)
      let isDone = Threads.sees { hasPolled.load(ordering: .sequentiallyConsistent) }
      if isDone { wasInTime.store(true, ordering: .sequentiallyConsistent) }
    }
  }

  @Test("Who polls meanwhile is answered before RESET has come to its end")
  func resetLetsOthersIn() throws {
    let blocks: UInt32 = 16
    let rig = Rig(sources: blocks * 1_024, existing: 0)
    let host = SlowHost()
    for block in 0..<blocks {
      rig.create(block * 1_024)
      _ = try rig.device.image(at: rig.offset(block * 1_024, .management))
    }
    rig.updates()
    rig.device.attach(to: host)
    Threads.run(2) { index in
      guard index == 0 else { return rig.device.resetDelivery() }
      while host.wakeUps.load(ordering: .sequentiallyConsistent) == 0 { Threads.yield() }
      _ = rig.device.isReadable(Rig.reader, orWake: PollWaker {})
      host.hasPolled.store(true, ordering: .sequentiallyConsistent)
    }
    let wakeUps = host.wakeUps.load(ordering: .sequentiallyConsistent)
    #expect(wakeUps == Int(blocks))
    let wasInTime = host.wasInTime.load(ordering: .sequentiallyConsistent)
    #expect(wasInTime)
  }

  /// Lets an event go no further before it is told to.
  private final class HeldRouter: EventRouter {
    let hasEvent = Atomic<Bool>(false)
    let mayGo = Atomic<Bool>(false)

    func forward(_ lisn: LISN) {
      hasEvent.store(true, ordering: .sequentiallyConsistent)
      while !mayGo.load(ordering: .sequentiallyConsistent) { Threads.yield() }
    }
  }

  @Test("EQ_SYNC also waits for the events of a change of backings that comes to its end")
  func synchronizesChanges() throws {
    let router = HeldRouter()
    let isSynchronized = Atomic<Bool>(false)
    let rig = Rig(watcher: router)
    try rig.addPHB()
    rig.setPQ(1, .queued)
    let change = try rig.device.map(Rig.run(1, 0, phb: 0, count: 1))
    // The guest ends what the interrupt was handed over with, before what the source had queued comes.
    rig.device.phbs[Rig.phb(0)].map {
      _ = $0.cells.perform(.set(.reset), on: HardwareIRQ(rawValue: 0))
    }
    Threads.run(2) { index in
      guard index == 1 else { return change.completion() }
      while !router.hasEvent.load(ordering: .sequentiallyConsistent) { Threads.yield() }
      Threads.run(2) { index in
        guard index == 1 else {
          rig.device.synchronize()
          return isSynchronized.store(true, ordering: .sequentiallyConsistent)
        }
        let wasEarly = Threads.sees { isSynchronized.load(ordering: .sequentiallyConsistent) }
        #expect(!wasEarly)
        router.mayGo.store(true, ordering: .sequentiallyConsistent)
      }
    }
    let isDone = isSynchronized.load(ordering: .sequentiallyConsistent)
    #expect(isDone)
  }
}

/// A caller with memory of any size, of which nothing is ever touched.
private final class EndlessMemory: Caller {
  let name = "a test"

  func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent { throw .badDescriptor }

  private(set) var calls = 0

  func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
    throw .badAddress
  }

  func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) { throw .badAddress }

  func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
    -> any SharedMemory
  {
    calls += 1
    return SharedBytes(byteCount: 0)
  }

  func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool { false }
}

extension xive_memory {
  /// The structure as it lies in memory.
  fileprivate var bytes: [UInt8] { unsafe withUnsafeBytes(of: self) { unsafe [UInt8]($0) } }
}
