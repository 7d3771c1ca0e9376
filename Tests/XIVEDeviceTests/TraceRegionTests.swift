import CXIVE
import PagedDevice
import Synchronization
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Region 0x1001, and those who wait for it.
extension Rig {
  static let traceStart = xive_region_offset(XIVE_REGION_TRACE)

  /// What a load in the region gives.
  func records(
    from sequence: UInt64, count: Int = 64, by opener: Opener = reader
  ) throws(DeviceError) -> [TraceRecord] {
    let bytes = try traceBytes(at: sequence * 64, count: count * 64, by: opener)
    return (0..<count).map { TraceRecord(unsafe bytes.span.bytes, at: $0 * 64) }
      .filter { $0.rawKind != 0 }
  }

  func traceBytes(at offset: UInt64, count: Int, by opener: Opener = reader) throws(DeviceError)
    -> [UInt8]
  {
    var bytes = [UInt8](repeating: 0x5a, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try device.load(at: Self.traceStart + offset, into: &raw, by: opener)
    return bytes
  }

  /// The state of the stream; asking the device for it would leave a record.
  var traceInfo: xive_info_trace { device.traceInfo }
}

@Suite("Region 0x1001", .hangGuard)
struct TraceRegionTests {
  private static let other = Opener(id: 3, isWritable: false)

  @Test("Reading turns records on, the last reader's end turns them off")
  func onAndOff() throws {
    let rig = Rig()
    #expect(!rig.device.trace.isOn && rig.traceInfo.on == 0 && rig.device.trace.rings == nil)
    #expect(rig.trace { rig.touch(rig.offset(1, .trigger)) }.isEmpty)
    #expect(try rig.records(from: 0).isEmpty)
    #expect(rig.traceInfo.on == 1 && rig.traceInfo.readers == 1)
    #expect(try rig.records(from: 0, by: Self.other).isEmpty, "readers leave no records")
    #expect(rig.traceInfo.readers == 2)
    #expect(rig.trace { rig.touch(rig.offset(1, .trigger)) }.kinds == [.fill])
    _ = rig.device.closed(Rig.reader)
    #expect(rig.traceInfo.on == 1 && rig.traceInfo.readers == 1)
    _ = rig.device.closed(Rig.reader)
    _ = rig.device.closed(Self.other)
    #expect(rig.traceInfo.on == 0 && rig.traceInfo.readers == 0)
    #expect(rig.trace { rig.touch(rig.offset(1, .trigger)) }.isEmpty, "stopped")
    #expect(rig.traceInfo.next > 0, "what was kept is still there")
  }

  @Test("With tracing from the start records are made without a reader, and after the last one")
  func always() throws {
    let rig = Rig.traced(capacity: 100)
    #expect(rig.traceInfo.on == 1 && rig.traceInfo.capacity == 100 && rig.traceInfo.version == 1)
    rig.touch(rig.offset(1, .trigger))
    #expect(try rig.records(from: 0).kinds.contains(.fill))
    _ = rig.device.closed(Rig.reader)
    #expect(rig.traceInfo.on == 1)
    #expect(rig.trace { rig.touch(rig.offset(1, .trigger)) }.count == 1)
  }

  @Test("What was filled while nobody followed has an unknown cause, unless nothing was")
  func causes() throws {
    let rig = Rig()
    _ = try rig.records(from: 0)
    let page = rig.offset(1, .trigger)
    #expect(rig.trace { rig.touch(page) }.first?.cause == .firstTouch)
    _ = rig.device.closed(Rig.reader)
    _ = try rig.records(from: 0)
    #expect(rig.trace { rig.touch(page) }.first?.cause == .unknown)
    #expect(rig.trace { rig.touch(rig.offset(2, .trigger)) }.first?.cause == .unknown)
  }

  @Test("Whole records only, up to 1 MiB, at any place")
  func sizes() throws {
    let rig = Rig.traced()
    for _ in 0..<10 { rig.touch(rig.offset(1, .trigger)) }
    for (offset, count) in [(8, 64), (0, 8), (0, 65), (32, 32), (63, 64), (0, 4_096 + 32)] {
      #expect(throws: DeviceError.invalid) { try rig.traceBytes(at: UInt64(offset), count: count) }
    }
    #expect(rig.traceInfo.readers == 0, "a refused load makes no reader")
    for count in [64, 128, 4_096, 1 << 20] {
      let bytes = try rig.traceBytes(at: 64, count: count)
      #expect(bytes.count == count)
      #expect(TraceRecord(unsafe bytes.span.bytes).sequence == 1)
      let used = min(count, (Int(rig.traceInfo.next) - 1) * 64)
      #expect(bytes[used...].allSatisfy { $0 == 0 }, "zeros behind the end")
    }
    // Far ahead, also where other regions would begin: the region goes on.
    let last = (0x2000 << 40 - Int(Rig.traceStart)) / 64 - 2
    for place in [1 << 20, 1 << 34, 1 << 40, last] {
      let bytes = try rig.traceBytes(at: UInt64(place) * 64, count: 128)
      #expect(bytes.allSatisfy { $0 == 0 })
    }
    for place in [last + 1, last + 2, 1 << 50] {
      #expect(throws: DeviceError.invalid) {
        try rig.traceBytes(at: UInt64(place) * 64, count: 128)
      }
    }
  }

  @Test("Nobody can store to it, and trying changes nothing", arguments: [8, 64, 4_096])
  func stores(count: Int) throws {
    let rig = Rig.traced()
    rig.touch(rig.offset(1, .trigger))
    let before = try rig.records(from: 0)
    let found = rig.trace {
      let error = rig.request(.store(Rig.traceStart, count, dropsPage: true)) {
        try rig.store(Rig.traceStart, .init(repeating: 1, count: count))
      }
      #expect(error == 22)
    }
    #expect(found.isEmpty, "what is done to the region leaves no records")
    #expect(try rig.records(from: 0) == before)
  }

  @Test("Loads of the region leave no records")
  func silent() throws {
    let rig = Rig.traced()
    let found = rig.trace {
      rig.request(.load(Rig.traceStart, 4_096)) { _ = try rig.records(from: 0) }
    }
    #expect(found.isEmpty)
    #expect(rig.traceInfo.next == 0, "nor is the reader named")
  }

  @Test("Overwritten records are one gap; the numbers of INFO agree", arguments: [1, 2, 3, 64])
  func gaps(capacity: Int) throws {
    let rig = Rig.traced(capacity: capacity)
    let total = 150
    while rig.traceInfo.next < UInt64(total) { rig.touch(rig.offset(1, .trigger)) }
    let info = rig.traceInfo
    #expect(info.oldest == info.next - UInt64(capacity) && info.untaken == 0)
    let found = try rig.records(from: 3, count: 256)
    #expect(found[0].kind == .gap && found[0].sequence == 3 && found[0].value == info.oldest - 3)
    #expect(found.dropFirst().map(\.sequence) == Array(info.oldest..<info.next))
    // A load of one record gives the gap alone; the next one begins behind it.
    #expect(try rig.records(from: 0, count: 1).map(\.value) == [info.oldest])
    #expect(try rig.records(from: info.oldest, count: 1).map(\.sequence) == [info.oldest])
  }

  @Test("INFO tells the state of the stream, and is a request like others")
  func info() throws {
    let rig = Rig.traced(capacity: 7)
    for _ in 0..<20 { rig.touch(rig.offset(1, .trigger)) }
    _ = try rig.records(from: 0)
    let expected = rig.traceInfo
    let info = try rig.get(XIVE_GROUP_INFO, UInt64(XIVE_INFO_TRACE), as: xive_info_trace.self)
    #expect(info.version == 1 && info.on == 1 && info.readers == 1 && info.capacity == 7)
    #expect(info.next == expected.next && info.oldest == expected.oldest && info.untaken == 0)
    #expect(rig.traceInfo.next == info.next + 1)
  }

  @Test("Two readers are at places of their own")
  func places() throws {
    let rig = Rig.traced()
    for _ in 0..<10 { rig.touch(rig.offset(1, .trigger)) }
    let first = Waiter()
    let second = Waiter()
    let end = rig.traceInfo.next
    _ = try rig.records(from: 0, count: 4)
    _ = try rig.records(from: 0, count: Int(end), by: Self.other)
    #expect(rig.device.isReadable(Rig.reader, orWake: first.waker))
    #expect(!rig.device.isReadable(Self.other, orWake: second.waker))
    _ = try rig.records(from: 4, count: 64)
    #expect(!rig.device.isReadable(Rig.reader, orWake: first.waker))
    rig.touch(rig.offset(1, .trigger))
    #expect(rig.device.isReadable(Rig.reader, orWake: first.waker))
    #expect(rig.device.isReadable(Self.other, orWake: second.waker))
  }

  @Test("Only those are readable who have read, and who are no vCPU")
  func readable() throws {
    let machine = try Machine(Rig.traced(), cpus: 1)
    let rig = machine.rig
    rig.touch(rig.offset(1, .trigger))
    #expect(!rig.device.isReadable(Rig.reader, orWake: Waiter().waker))
    _ = try rig.records(from: 0, count: 1)
    #expect(rig.device.isReadable(Rig.reader, orWake: Waiter().waker))
    _ = try rig.records(from: 0, count: 1, by: Machine.opener(0))
    #expect(!rig.device.isReadable(Machine.opener(0), orWake: Waiter().waker))
  }

  @Test("Whoever waits is woken once, by the thread that takes updates")
  func woken() throws {
    let rig = Rig.traced()
    _ = try rig.records(from: 0)
    let waiter = Waiter()
    #expect(!rig.device.isReadable(Rig.reader, orWake: waiter.waker))
    let before = rig.host.wakeUps
    rig.touch(rig.offset(1, .trigger))
    #expect(rig.host.wakeUps > before && waiter.count == 0)
    rig.updates()
    #expect(waiter.count == 1)
    rig.touch(rig.offset(1, .trigger))
    rig.updates()
    #expect(waiter.count == 1, "nobody waits any more")
    let quiet = rig.host.wakeUps
    rig.touch(rig.offset(1, .trigger))
    #expect(rig.host.wakeUps == quiet, "nor is anybody troubled")
  }

  @Test("A record that comes between the look and the waiting is not missed")
  func interleaved() {
    // The thread that wakes looks how far there are records; right after its look another record is written.
    let readers = TraceReaders(isAlwaysOn: true)
    readers.begin(Rig.reader, at: 5) {}
    let waiter = Waiter()
    #expect(!readers.isReadable(Rig.reader, horizon: { 5 }, orWake: waiter.waker))
    var isCalledAgain = false
    readers.wake {
      // What the writer of record 5 does once it has written.
      isCalledAgain = readers.areWaiting
      return 5
    }
    #expect(waiter.count == 0 && isCalledAgain)
    readers.wake { 6 }
    #expect(waiter.count == 1 && !readers.areWaiting)
    // The same where the descriptor begins to wait.
    let second = Waiter()
    let isReadable = readers.isReadable(
      Rig.reader,
      horizon: {
        isCalledAgain = readers.areWaiting
        return 5
      }, orWake: second.waker)
    #expect(!isReadable && isCalledAgain)
  }

  @Test("Those who wait and a writer: nobody sleeps while there is something to read")
  func race() throws {
    let rig = Rig.traced(capacity: 64)
    _ = try rig.records(from: 0)
    let rounds = 3_000
    let round = Atomic<Int>(0)
    let done = Atomic<Int>(0)
    let missed = Atomic<Int>(0)
    Threads.run(2) { thread in
      for number in 1...rounds {
        if thread == 0 {
          let next = rig.device.trace.rings?.horizon ?? 0
          _ = try? rig.records(from: next, count: 1)
          round.store(number, ordering: .sequentiallyConsistent)
          for _ in 0..<number % 64 { _ = rig.pq(1) }
          let waiter = Waiter()
          let isReadable = rig.device.isReadable(Rig.reader, orWake: waiter.waker)
          // What the notifier does, before and after.
          rig.updates()
          while done.load(ordering: .sequentiallyConsistent) < number { Threads.yield() }
          rig.updates()
          if !isReadable && waiter.count == 0 { missed.wrappingAdd(1, ordering: .relaxed) }
        } else {
          while round.load(ordering: .sequentiallyConsistent) < number { Threads.yield() }
          for _ in 0..<number / 64 % 64 { _ = rig.pq(1) }
          rig.touch(rig.offset(1, .trigger))
          done.store(number, ordering: .sequentiallyConsistent)
        }
      }
    }
    #expect(missed.load(ordering: .relaxed) == 0)
  }

  @Test("Readers come and go while others fill: no record is torn, none comes twice")
  func turmoil() throws {
    let rig = Rig(traceCapacity: 32)
    let running = Atomic<Int>(3)
    let faults = Mutex<[String]>([])
    Threads.run(5) { thread in
      guard thread >= 3 else {
        for round in 0..<5_000 { rig.touch(rig.offset(UInt32(round % 4), .management)) }
        running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        return
      }
      let opener = Opener(id: UInt64(thread), isWritable: false)
      var next: UInt64 = 0
      while running.load(ordering: .sequentiallyConsistent) > 0 {
        for record in (try? rig.records(from: next, count: 16, by: opener)) ?? [] {
          let isWhole = record.sequence == next && record.version == 1
          if !isWhole { faults.withLock { $0.append("\(record)") } }
          next = record.kind == .gap ? record.sequence + record.value : record.sequence + 1
        }
        if next % 3 == 0 { _ = rig.device.closed(opener) }
      }
      _ = rig.device.closed(opener)
    }
    #expect(faults.withLock { $0 } == [])
    #expect(rig.traceInfo.readers == 0 && rig.traceInfo.on == 0)
  }
}

/// Counts how often it is woken.
private final class Waiter: Sendable {
  private let tally = Tally()
  var count: Int { tally.count }
  var waker: PollWaker { PollWaker { self.tally.add() } }
}
