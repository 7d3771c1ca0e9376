import Testing
import TraceRecords
import XIVEModel

import XIVETestSupport

@testable import XIVETrace

@Suite("Faults joined to fills", .hangGuard)
struct FaultJoinTests {
  private let page = Region.esb.start + 3 * 4_096

  /// The faults' times, by the sequence numbers of the records that they were joined to.
  private func joined(_ events: [FaultJoin.Event]) -> [UInt64: UInt64] {
    let pairs = events.filter { $0.record.kind == .fill && $0.fault != nil }
    return Dictionary(
      uniqueKeysWithValues: pairs.map { ($0.record.sequence, $0.fault?.record.time ?? 0) })
  }

  @Test("A fill has the fault of its thread that was under way, and its true queue time")
  func simple() throws {
    var record = fill(1, at: 130, offset: page)
    record.queueTime = 20
    let made = fault(at: 100, offset: page + 8, lasting: 900, .major)
    let events = FaultJoin.events(of: [record, made.record])
    #expect(events.count == 1)
    #expect(events.first?.fault == made)
    #expect(events.first?.queueTime == 50)
  }

  @Test("Threads that fault on the same page at once have a fault each")
  func interleaved() {
    let faults = [
      fault(at: 100, thread: 1, offset: page), fault(at: 101, thread: 2, offset: page),
      fault(at: 105, thread: 3, offset: page, lasting: 256),
    ]
    let records = [
      fill(1, at: 120, thread: 2, offset: page), fill(2, at: 121, thread: 1, offset: page),
    ]
    let events = FaultJoin.events(of: faults.map(\.record) + records)
    #expect(joined(events) == [1: 101, 2: 100])
    // The third found the page there.
    #expect(events.map(\.record.kind) == [.kernelFault, .fill, .fill])
    #expect(events.first?.record.threadID == 3)
  }

  @Test("A SIGBUS is one fault of two fills")
  func sigbus() {
    let made = fault(at: 100, offset: page, .failed)
    let records = [
      fill(1, at: 120, offset: page), fill(2, at: 140, offset: page, .again),
    ]
    let events = FaultJoin.events(of: [made.record] + records)
    #expect(joined(events) == [1: 100, 2: 100])
    #expect(events.count == 2)
  }

  @Test("A store to a page that could only be read until then is an event of its own")
  func writeAfterRead() {
    let read = fault(at: 100, offset: page, lasting: 640, .major)
    var write = fault(at: 2_000, offset: page + 0xc00, lasting: 256)
    write.isProtection = true
    let events = FaultJoin.events(of: [fill(1, at: 120, offset: page), read.record, write.record])
    #expect(joined(events) == [1: 100])
    #expect(events.map(\.record.time) == [120, 2_000])
    #expect(events.last?.fault?.isProtection == true)
  }

  @Test("A fault that was over before the fill began has nothing to do with it")
  func over() {
    let made = fault(at: 100, offset: page, lasting: 1_024)
    let late = FaultJoin.events(of: [made.record, fill(1, at: 1_300, offset: page)])
    #expect(joined(late) == [:])
    let inTime = FaultJoin.events(of: [made.record, fill(1, at: 1_100, offset: page)])
    #expect(joined(inTime) == [1: 100])
  }

  @Test("A fill of other pages, of another thread, from before, or by the server has no fault")
  func strangers() {
    let made = fault(at: 100, offset: page)
    let records = [
      fill(1, at: 99, offset: page), fill(2, at: 120, thread: 8, offset: page),
      fill(3, at: 130, offset: page + 4_096), fill(4, at: 140, offset: page, .prefault),
      fill(5, at: 150, offset: page - 4_096, bytes: 4_096),
    ]
    #expect(joined(FaultJoin.events(of: [made.record] + records)) == [:])
    let wide = fill(6, at: 150, offset: page - 4_096, bytes: 8_192)
    #expect(joined(FaultJoin.events(of: [made.record, wide])) == [6: 100])
  }

  @Test(
    "Live: a fill waits until the kernel has told all before it; records before the fill do not")
  func live() {
    var join = FaultJoin()
    join.add([TraceRecord(.trigger, sequence: 1, time: 90)], readAt: 1_000)
    let eoi = TraceRecord(.eoi, sequence: 3, time: 130)
    join.add([fill(2, at: 120, offset: page), eoi], readAt: 1_000)
    #expect(join.events().map(\.record.sequence) == [1])
    join.add(.init(faults: [], completeUntil: 120))
    #expect(join.events().isEmpty)
    join.add(.init(faults: [fault(at: 100, offset: page, lasting: 128)], completeUntil: 121))
    let events = join.events()
    #expect(events.map(\.record.sequence) == [2, 3])
    #expect(joined(events) == [2: 100])
    #expect(join.finish().isEmpty)
  }

  @Test("Live: a tracer of faults that is held up does not hold up records for ever")
  func heldUp() {
    var join = FaultJoin()
    join.add([fill(1, at: 120, offset: page)], readAt: FaultJoin.patience + 119)
    #expect(join.events().isEmpty)
    join.add([], readAt: FaultJoin.patience + 120)
    #expect(joined(join.events()) == [:])
    #expect(join.finish().isEmpty)
  }

  @Test("Live: a fault is alone once no fill can come, and is told once")
  func alone() {
    var join = FaultJoin()
    join.add(.init(faults: [fault(at: 100, offset: page, lasting: 256)], completeUntil: 400))
    join.add([], readAt: 10_000_000)
    #expect(join.events().isEmpty)
    join.add([], readAt: 10_000_400)
    #expect(join.events().map(\.record.kind) == [.kernelFault])
    #expect(join.events().isEmpty)
    #expect(join.finish().isEmpty)
  }

  @Test("Live: a fault without an end waits longer, for its fill may take long")
  func unfinished() {
    var join = FaultJoin()
    join.add(.init(faults: [fault(at: 100, offset: page, .unfinished)], completeUntil: 500_000_000))
    join.add([], readAt: 900_000_000)
    #expect(join.events().isEmpty)
    join.add([fill(1, at: 200_000_000, offset: page)], readAt: 950_000_000)
    #expect(joined(join.events()) == [1: 100])
    join.add([], readAt: 9_000_000_000)
    #expect(join.events().isEmpty)
  }
}
