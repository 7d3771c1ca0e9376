import Foundation
import Testing
import XIVETestSupport

@Suite("A server's threads", .enabled(if: Requirement.canMount), .timeLimit(.minutes(1)))
struct ServeThreadTests {
  @Test("It serves requests on as many threads as it is told, and one each for the rest")
  func threads() throws {
    for count in [2, 5] {
      let device = try ServedDevice(["--threads", "\(count)"])
      let tasks = "/proc/\(device.processID)/task"
      let names = try FileManager.default.contentsOfDirectory(atPath: tasks).map { task in
        try String(contentsOfFile: "\(tasks)/\(task)/comm", encoding: .utf8)
          .trimmingCharacters(in: .newlines)
      }
      #expect(names.count { $0.hasPrefix("request-") } == count)
      #expect(names.count { $0 == "notifier" } == 1)
      #expect(names.count { $0 == "ticker" } == 1)
    }
  }
}
