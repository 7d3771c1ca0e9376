import Glibc
import Synchronization
import Testing
import TraceRecords
import XIVETestSupport

@Suite("Threads and their names")
struct TaskTests {
  /// What a task record says.
  private func name(_ record: TraceRecord) -> String {
    let words = [record.offset ?? .max, record.value]
    let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Names the calling thread.
  private func rename(_ name: String) {
    let file = unsafe fopen("/proc/thread-self/comm", "w")
    _ = unsafe fputs(name, file)
    _ = unsafe fclose(file)
  }

  @Test("A thread is found with its process and its name, of which 15 bytes count")
  func found() {
    Threads.run(1) { _ in
      rename("a b(c) 123456")
      let thread = TraceTask.ownThreadID
      guard let (task, record) = TraceTask.find(thread) else {
        Issue.record("the calling thread was not found")
        return
      }
      #expect(task.threadID == thread && task.processID == UInt32(getpid()))
      #expect(thread != UInt32(getpid()), "not the first thread of its process")
      #expect(record.kind == .task && record.threadID == thread)
      #expect(record.processID == task.processID)
      #expect(name(record) == "a b(c) 123456")
      rename("fifteen-bytes-x and more")
      #expect(TraceTask.find(thread).map { name($0.record) } == "fifteen-bytes-x")
    }
  }

  @Test("A thread that has ended, or never was, is not found", arguments: [0, .max] as [UInt32])
  func missing(thread: UInt32) {
    #expect(TraceTask.find(thread) == nil)
    let ended = Mutex<UInt32>(0)
    Threads.run(1) { _ in ended.withLock { $0 = TraceTask.ownThreadID } }
    #expect(TraceTask.find(ended.withLock { $0 }) == nil)
  }

  @Test("Threads that live at once have slots of their own, and keep them")
  func slots() {
    let found = Mutex<[Int?]>([])
    let count = 8
    Threads.run(count) { _ in
      let slot = TraceTask.slot
      found.withLock { $0.append(slot) }
      while found.withLock(\.count) < count { Threads.yield() }
      #expect(TraceTask.slot == slot)
    }
    let slots = found.withLock { $0.compactMap(\.self) }
    #expect(Set(slots).count == count)
    #expect(slots.allSatisfy { (0..<TraceRings.laneCount).contains($0) })
  }

  @Test("The clock is the monotonic one")
  func clock() {
    var before = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &before)
    let now = TraceClock.nanoseconds
    var after = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &after)
    #expect(now >= UInt64(before.tv_sec) * 1_000_000_000 + UInt64(before.tv_nsec))
    #expect(now <= UInt64(after.tv_sec) * 1_000_000_000 + UInt64(after.tv_nsec))
  }
}
