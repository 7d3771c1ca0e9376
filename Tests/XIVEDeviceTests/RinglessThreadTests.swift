import CXIVE
import PagedDevice
import Synchronization
import Testing
import TraceRecords
import XIVETestSupport

@testable import XIVEDevice

@Suite("Records of threads without a ring", .hangGuard)
struct RinglessThreadTests {
  private nonisolated static func touch(_ device: XIVEDevice) {
    let requests: [TracedRequest] = [
      .fill(1 << 40, 4_096), .load(1 << 40, 8), .store(1 << 40, 8, dropsPage: true),
      .writeBack(1 << 40, 4_096),
      // These leave none.
      .other, .load(0x1001 << 40, 4_096),
    ]
    for request in requests {
      device.trace.began(RequestOrigin(threadID: 1))
      device.trace.answering(request, 0)
      device.trace.answered()
    }
  }

  @Test("What more threads do than have a ring is lost, and counted") func counted() async {
    // In a process of its own: no thread of it gets a ring any more.
    await #expect(processExitsWith: .success) {
      let device = XIVEDevice(Configuration(sourceCount: 8, serverCount: 4, isTraced: true))
      let taken = Atomic<Int>(0)
      let isDone = Atomic<Bool>(false)
      Threads.run(TraceRings.laneCount + 1) { index in
        if index < TraceRings.laneCount {
          precondition(TraceTask.slot != nil)
          taken.wrappingAdd(1, ordering: .sequentiallyConsistent)
          while !isDone.load(ordering: .sequentiallyConsistent) { Threads.yield() }
        } else {
          while taken.load(ordering: .sequentiallyConsistent) < TraceRings.laneCount {
            Threads.yield()
          }
          precondition(TraceTask.slot == nil)
          Self.touch(device)
          isDone.store(true, ordering: .sequentiallyConsistent)
        }
      }
      precondition(device.traceInfo.untaken == 4, "\(device.traceInfo.untaken) are counted")
      let gaps = device.trace.rings?.records(from: 0).map { ($0.kind, $0.value) } ?? []
      precondition(gaps.count == 1 && gaps[0] == (.gap, 4))
    }
  }
}
