import Testing
import XIVEModel
import XIVETestSupport

@Suite("Event queues around their end")
struct QueueWrapTests {
  @Test(
    "From every index and in both generations a consumer reads each event once",
    arguments: 0...4 as ClosedRange<UInt32>)
  func everyStart(size: UInt32) {
    let queue = WatchedQueue(size: size)
    for generation: UInt32 in 0...1 {
      queue.fill(generation: 1 - generation)
      for index in 0..<queue.entryCount {
        queue.start(at: index, generation: generation)
        var consumer = QueueConsumer(index: index, generation: generation)
        for event in 1...3 as ClosedRange<UInt32> { queue.forward(event) }
        let events = consumer.readAll(queue)
        #expect(events == [1, 2, 3], "index \(index), generation \(generation)")
        // What is behind the next start is of the lap before.
        for place in index + 1...index + 2 {
          let isBehind = place < queue.entryCount
          queue.putBack(place % queue.entryCount, isBehind ? 1 - generation : generation)
        }
      }
    }
  }

  @Test("Three laps, read now and then, lose nothing", arguments: [0, 4] as [UInt32])
  func laps(size: UInt32) {
    let queue = WatchedQueue(size: size)
    queue.fill(generation: 0)
    queue.start(at: 0, generation: 1)
    var consumer = QueueConsumer(index: 0, generation: 1)
    var random = Seed.generator(stream: 210)
    var next: UInt32 = 0
    while next < UInt32(3 * queue.entryCount) {
      let burst = UInt32.random(in: 1...UInt32(queue.entryCount), using: &random)
      for event in next..<next + burst { queue.forward(event) }
      #expect(consumer.readAll(queue) == Array(next..<next + burst), "\(Seed.comment)")
      next += burst
    }
  }

  @Test("A queue of any size ends behind its last entry", arguments: 0...12 as ClosedRange<UInt32>)
  func sizes(size: UInt32) {
    let last: UInt32 = (1024 << size) - 1
    for generation: UInt32 in 0...1 {
      var end = END()
      end.w0 = size << 16
      end.w1 = generation << 22 | last - 1
      let entries = (0..<3).map { _ in end.enqueue(EISN(rawValue: 0x55)) }
      #expect(entries.map(\.index) == [Int(last) - 1, Int(last), 0])
      #expect(entries.map { $0.entry >> 31 } == [generation, generation, 1 - generation])
    }
  }

  @Test("The queue after event 16,385, as QEMU was seen to leave it")
  func seventeenBits() {
    let queue = WatchedQueue(size: 4)
    queue.fill(generation: 0)
    queue.start(at: 0, generation: 1)
    for _ in 0..<16384 { queue.forward(0x111) }
    #expect(queue.end.generation == 0 && queue.end.queueIndex == 0)
    #expect(queue.entry(0) == 0x8000_0111 && queue.entry(16383) == 0x8000_0111)
    queue.forward(0x111)
    #expect(queue.entry(0) == 0x0000_0111)
    #expect(queue.end.queueIndex == 1)
  }
}

/// A consumer as Linux has it: an entry is new while its highest bit is not the toggle.
private struct QueueConsumer {
  private var index: Int
  private var toggle: UInt32

  init(index: Int, generation: UInt32) {
    self.index = index
    toggle = 1 - generation
  }

  /// Reads up to the first entry that is not new.
  mutating func readAll(_ queue: WatchedQueue) -> [UInt32] {
    var events: [UInt32] = []
    while queue.entry(index) >> 31 != toggle, events.count <= queue.entryCount {
      events.append(queue.entry(index) & 0x7fff_ffff)
      index += 1
      if index == queue.entryCount {
        index = 0
        toggle = 1 - toggle
      }
    }
    return events
  }
}

/// One END without anybody to notify, and its queue.
private struct WatchedQueue {
  private let controller: RoutedController
  private let size: UInt32
  let entryCount: Int
  private static let number = ENDIndex(rawValue: 5)

  init(size: UInt32) {
    self.size = size
    entryCount = 1024 << Int(size)
    controller = RoutedController(sources: 1, servers: 1, memorySize: entryCount * 4)
  }

  var end: END { controller.router.end(at: Self.number) }

  func start(at index: Int, generation: UInt32) {
    var end = ReferenceEND("vq")
    end.queueSize = size
    end.index = UInt32(index)
    end.generation = generation
    end.priority = 0xff
    controller.setEND(Int(Self.number.rawValue), end.words)
  }

  func forward(_ event: UInt32) {
    let lisn = LISN(rawValue: 0)
    controller.router.setEAS(of: lisn, to: EAS(to: Self.number, eisn: EISN(rawValue: event)))
    controller.router.forward(lisn)
  }

  func entry(_ index: Int) -> UInt32 { controller.word(at: index * 4) }

  func putBack(_ index: Int, _ generation: UInt32) {
    unsafe controller.memory.unsafeBuffer.storeBytes(
      of: (generation << 31).bigEndian, toByteOffset: index * 4, as: UInt32.self)
  }

  func fill(generation: UInt32) {
    for index in 0..<entryCount { putBack(index, generation) }
  }
}
