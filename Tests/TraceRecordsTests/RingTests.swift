import Synchronization
import Testing
import TraceRecords
import XIVETestSupport

@Suite("Rings of records", .hangGuard)
struct RingTests {
  @Test("One thread's records come in its order, the newest ones once the ring is full")
  func oneThread() {
    let model = RingModel(capacity: 5)
    #expect(Array(model.rings.records(from: 0)).isEmpty && model.rings.horizon == 0)
    for count in 1...17 {
      model.write(1, as: 0)
      var reader = StreamReader()
      reader.read(model.rings)
      #expect(model.fault(in: reader.stream, upTo: UInt64(count)) == nil)
      #expect(reader.seen == model.kept)
      #expect(reader.stream.count(where: { $0.kind == .gap }) == (count > 5 ? 1 : 0))
      #expect(model.rings.oldest == UInt64(max(0, count - 5)))
    }
  }

  @Test("A reader may begin anywhere: in a gap, at a record, at the end, behind it")
  func places() {
    let model = RingModel(capacity: 4)
    model.write(10, as: 0)
    for start in UInt64(0)..<10 {
      let stream = Array(model.rings.records(from: start))
      #expect(stream.first?.sequence == start)
      #expect(stream.first?.kind == (start < 6 ? .gap : .load))
      #expect(start >= 6 || stream.first?.value == 6 - start)
      #expect(stream.last?.sequence == 9)
    }
    for start in [10, 11, 1 << 34, .max - 1] as [UInt64] {
      #expect(Array(model.rings.records(from: start)).isEmpty)
    }
  }

  @Test(
    "Eight writers, fast and slow readers: every number is a true record or in a gap",
    arguments: [1, 2, 3, 64, 4_096, 1 << 15])
  func crowd(capacity: Int) {
    let model = RingModel(capacity: capacity)
    let writers = 8
    let each = 10_000
    let running = Atomic<Int>(writers)
    let faults = Mutex<[String]>([])
    let lost = Atomic<Int>(0)
    Threads.run(writers + 3) { thread in
      guard thread >= writers else {
        model.write(each, as: thread) { if $0 % 64 == thread { Threads.yield() } }
        running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        return
      }
      var reader = StreamReader()
      var isLast = false
      while !isLast {
        isLast = running.load(ordering: .sequentiallyConsistent) == 0
        // The first reads what it can, the second a little at a time, the third seldom.
        reader.read(model.rings, atMost: thread == writers + 1 && !isLast ? 7 : .max)
        if thread == writers + 2 { for _ in 0..<200 { Threads.yield() } }
      }
      let fault = model.fault(in: reader.stream, upTo: UInt64(writers * each))
      if let fault { faults.withLock { $0.append("reader \(thread - writers): \(fault)") } }
      lost.wrappingAdd(writers * each - reader.seen.count, ordering: .relaxed)
    }
    #expect(faults.withLock { $0 } == [])
    #expect(model.rings.untaken == 0)
    #expect(capacity < each || lost.load(ordering: .relaxed) == 0)
    var late = StreamReader()
    late.read(model.rings)
    #expect(late.seen == model.kept)
    #expect(model.fault(in: late.stream, upTo: UInt64(writers * each)) == nil)
    #expect(hasWholeGaps(late.stream), "one gap for each run of lost records")
    #expect(model.rings.oldest == model.kept.min())
  }

  /// Whether no gap follows another.
  private func hasWholeGaps(_ stream: [TraceRecord]) -> Bool {
    zip(stream, stream.dropFirst()).allSatisfy { $0.kind != .gap || $1.kind != .gap }
  }

  @Test("A number that has been taken holds readers back until its record is there")
  func claimed() {
    let model = RingModel(capacity: 8)
    model.write(2, as: 0)
    let taken = Atomic<Bool>(false)
    let released = Atomic<Bool>(false)
    Threads.run(2) { thread in
      if thread == 0 {
        let number = model.rings.claim()
        taken.store(true, ordering: .sequentiallyConsistent)
        while !released.load(ordering: .sequentiallyConsistent) { Threads.yield() }
        model.rings.write(RingModel.record(9, 0), number)
      } else {
        while !taken.load(ordering: .sequentiallyConsistent) { Threads.yield() }
        model.write(3, as: 1)
        #expect(model.rings.horizon == 2)
        #expect(Array(model.rings.records(from: 0)).map(\.sequence) == [0, 1])
        #expect(Array(model.rings.records(from: 3)).isEmpty)
        released.store(true, ordering: .sequentiallyConsistent)
      }
    }
    #expect(model.rings.horizon == 6)
    let stream = Array(model.rings.records(from: 0))
    #expect(stream.map(\.sequence) == [0, 1, 2, 3, 4, 5])
    #expect(stream[2].number == 9 && stream[3].number == 1)
  }

  @Test("A merge that was begun is not carried further by what comes later")
  func begun() {
    let model = RingModel(capacity: 3)
    model.write(3, as: 0)
    var merge = model.rings.records(from: 0)
    #expect(merge.next()?.sequence == 0)
    model.write(4, as: 0)
    // 1 and 2 have been overwritten since; 3 and so on were not asked for.
    let gap = merge.next()
    #expect(gap?.kind == .gap && gap?.sequence == 1 && gap?.value == 2)
    #expect(merge.next() == nil)
  }

  @Test("Rings of threads that have ended are given to others, and keep what was written")
  func givenBack() {
    let model = RingModel(capacity: 256)
    for writer in 0..<3 * TraceRings.laneCount {
      Threads.run(1) { _ in model.write(1, as: writer) }
    }
    #expect(model.rings.untaken == 0)
    var reader = StreamReader()
    reader.read(model.rings)
    #expect(reader.seen.count == 3 * TraceRings.laneCount)
    #expect(model.fault(in: reader.stream, upTo: UInt64(3 * TraceRings.laneCount)) == nil)
  }

  @Test("More threads than rings: what cannot be kept is counted, and seen as gaps")
  func tooManyThreads() async {
    // In a process of its own, for no other test has a ring meanwhile.
    await #expect(processExitsWith: .success) {
      let model = RingModel(capacity: 16)
      let writers = TraceRings.laneCount + 20
      let ready = Atomic<Int>(0)
      Threads.run(writers) { writer in
        model.write(1, as: writer)
        ready.wrappingAdd(1, ordering: .sequentiallyConsistent)
        // Nobody ends, so that nobody gives anything back.
        while ready.load(ordering: .sequentiallyConsistent) < writers { Threads.yield() }
      }
      var reader = StreamReader()
      reader.read(model.rings)
      let untaken = model.rings.untaken
      precondition(untaken >= 20 && untaken <= 24, "\(untaken) lost")
      let fault = model.fault(in: reader.stream, upTo: UInt64(writers))
      precondition(fault == nil, fault ?? "")
      precondition(reader.seen.count == writers - Int(untaken), "\(reader.seen.count) seen")
      // They have all ended: there is room again.
      Threads.run(1) { _ in model.write(1, as: writers) }
      precondition(model.rings.untaken == untaken, "no ring was given back")
    }
  }
}
