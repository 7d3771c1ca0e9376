import Testing
import TraceRecords
import XIVEModel

import XIVETestSupport

@testable import XIVETrace

@Suite("Samples put in order, and made faults of", .hangGuard)
struct FaultAssemblyTests {
  private let page = Region.esb.start

  @Test("Samples of several rings come in the order of time, those that may have company wait")
  func order() {
    var order = SampleOrder()
    func lost(_ time: UInt64) -> TimedSample { TimedSample(time: time, sample: .lost(time)) }
    order.add([lost(30), lost(50)])
    order.add([lost(10), lost(40)])
    #expect(order.release(before: 40).map(\.time) == [10, 30])
    order.add([lost(35)])
    #expect(order.release(before: .max).map(\.time) == [35, 40, 50])
  }

  @Test("The end of a thread's fault makes it minor or major, and says how long it took")
  func ends() {
    var assembly = FaultAssembly()
    assembly.begin(fault(at: 1_000, thread: 1, offset: page, .unfinished))
    assembly.begin(fault(at: 1_100, thread: 2, offset: page, .unfinished))
    #expect(assembly.oldest == 1_000)
    let address = fault(at: 0, offset: page).address
    assembly.end(threadID: 2, address: address, isMajor: false, time: 1_100 + 2_560)
    assembly.end(threadID: 1, address: address, isMajor: true, time: 1_000 + 25_600)
    let faults = assembly.take(at: 50_000)
    #expect(faults.map(\.record.threadID) == [1, 2])
    #expect(faults.map(\.outcome) == [.major, .minor])
    #expect(faults.map(\.duration) == [25_600, 2_560])
    #expect(assembly.oldest == nil)
  }

  @Test("A thread that faults again got a signal; an end of another address ends nothing")
  func failed() {
    var assembly = FaultAssembly()
    assembly.begin(fault(at: 1_000, offset: page, .unfinished))
    assembly.end(threadID: 7, address: 1, isMajor: true, time: 1_500)
    assembly.begin(fault(at: 2_000, offset: page + 4_096, .unfinished))
    #expect(assembly.take(at: 3_000).map(\.outcome) == [.failed])
    #expect(assembly.oldest == 2_000)
  }

  @Test("A fault without an end is told of after a while, and all open ones when samples were lost")
  func unfinished() {
    var assembly = FaultAssembly()
    assembly.begin(fault(at: 1_000, offset: page, .unfinished))
    #expect(assembly.take(at: 1_000 + FaultAssembly.patience - 1).isEmpty)
    #expect(assembly.take(at: 1_000 + FaultAssembly.patience).map(\.outcome) == [.unfinished])
    assembly.begin(fault(at: 1_000, offset: page, .unfinished))
    assembly.forget()
    assembly.begin(fault(at: 2_000, offset: page, .unfinished))
    #expect(assembly.take(at: 2_000).map(\.outcome) == [.unfinished])
  }
}
