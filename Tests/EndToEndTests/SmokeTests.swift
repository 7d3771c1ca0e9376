import Testing
import XIVETestSupport

@Suite("Smoke", .enabled(if: Requirement.canMount), .timeLimit(.minutes(1)))
struct SmokeTests {
  @Test("A created source can be loaded from")
  func load() throws {
    var device = try ServedDevice(["--create", "0-3"])
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.load(at: 1 << 40 | 0x1800) == 1)
    #expect(device.stop() == 0)
  }
}
