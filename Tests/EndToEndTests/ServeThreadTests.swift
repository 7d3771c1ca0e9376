import Foundation
import SystemCalls
import Testing
import XIVETestSupport

@Suite("A server's threads", .enabled(if: Requirement.canMount), .hangGuard)
struct ServeThreadTests {
  @Test(
    "It serves requests on as many threads as it is told, and has one each for the rest",
    arguments: [2, 5])
  func threads(_ count: Int) throws {
    let device = try ServedDevice(["--threads", "\(count)"])
    let expected = (0..<count).map { "request-\($0)" } + ["notifier", "ticker"]
    var seen: [String] = []
    // A thread gives itself its name once it runs.
    for _ in 0..<10_000 where Set(seen).isSuperset(of: expected) == false {
      seen = names(of: device.processID)
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    let serving = seen.filter { $0.hasPrefix("request-") || $0 == "notifier" || $0 == "ticker" }
    #expect(serving.sorted() == expected.sorted())
  }

  private func names(of process: Int32) -> [String] {
    let tasks = "/proc/\(process)/task"
    return (try? FileManager.default.contentsOfDirectory(atPath: tasks))?.map { task in
      TextFile.contents(of: "\(tasks)/\(task)/comm").trimmingCharacters(in: .newlines)
    } ?? []
  }
}
