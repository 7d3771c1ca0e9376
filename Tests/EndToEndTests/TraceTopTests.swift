import FoundationEssentials
import Glibc
import Testing
import XIVETestSupport

@Suite("Live view", .enabled(if: Requirement.canMount), .hangGuard)
struct TraceTopTests {
  private static let hasPython = Requirement.has("python3", package: "python3")

  @Test(
    "It draws, takes keys, follows the terminal's size, and q gives the terminal back",
    .enabled(if: hasPython))
  func terminal() throws {
    let device = try ServedDevice(["--create", "0-63"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(3), 0x2000)
    consumer.send("hammer 2 60000 pread 0 \(managementPage(3) + 0x800)")
    let run = try TopTerminal(
      device.path,
      [
        "wait:esb:0x3:management", "keys:h", "wait:any key leads back", "keys:x", "wait:by faults",
        "keys:t", "wait:by time", "keys: ", "wait:PAUSED", "keys: ", "wait:by time",
        "size:48x12", "wait:by time", "wait:by time", "keys:q",
      ])
    #expect(run.code == 0, "\(run.text)")
    #expect(run.hasLeftScreen && run.isRestored, "\(run.rest)")
    #expect(run.screen.count == 12, "\(run.screen)")
    #expect(run.screen.allSatisfy { $0.count <= 48 }, "\(run.screen)")
    #expect(run.screen.contains { $0.hasPrefix("PAGE ") })
    #expect(run.text.contains("TestConsumer/"))
  }

  @Test(
    "Control-C leaves as q does; a signal gives the terminal back before it ends the process",
    .enabled(if: hasPython),
    arguments: [
      ("keys:\u{3}", 0), ("signal:\(SIGTERM)", -Int(SIGTERM)), ("signal:\(SIGINT)", -Int(SIGINT)),
      ("signal:\(SIGHUP)", -Int(SIGHUP)), ("signal:\(SIGSEGV)", -Int(SIGSEGV)),
    ])
  func leaving(_ step: String, _ code: Int) throws {
    let device = try ServedDevice(["--create", "0-63"])
    let run = try TopTerminal(device.path, ["wait:by faults", step])
    #expect(run.code == code, "\(run.text)")
    #expect(run.hasLeftScreen && run.isRestored, "\(run.rest)")
  }

  @Test(
    "When the server ends it gives the terminal back, says so in one line, and fails",
    .enabled(if: hasPython))
  func ending() throws {
    var device = try ServedDevice(["--create", "0-63"])
    let run = try TopTerminal(device.path, ["wait:by faults", "kill:\(device.processID)"])
    #expect(device.exitCode() == 128 + SIGKILL)
    #expect(run.code == 1, "\(run.text)")
    #expect(run.hasLeftScreen && run.isRestored, "\(run.rest)")
    let lines = run.text.components(separatedBy: "\u{1b}[?1049l").last?.split(separator: "\r\n")
    #expect(lines?.count == 1, "\(run.rest)")
    #expect(lines?.first?.hasPrefix("xive: \(device.path): its server has ended") == true)
  }

  @Test("Once: one table, or one JSON object, of one interval")
  func once() throws {
    let device = try ServedDevice(["--create", "0-63"])
    let consumer = try Consumer(opening: device.path)
    consumer.send("hammer 2 60000 pread 0 \(managementPage(5) + 0x800)")
    let text = try CommandResult.xive("trace", "top", device.path, "--once", "--interval", "0.5")
    #expect(text.exitCode == 0 && text.errors == [], "\(text.errors)")
    #expect(text.output.first?.hasPrefix("xive trace top  \(device.path)  ") == true)
    #expect(text.output.contains { $0.hasPrefix("esb:0x5:management ") }, "\(text.output)")
    #expect(text.output.contains { $0.hasPrefix("TestConsumer/") }, "\(text.output)")
    let json = try CommandResult.xive(
      "trace", "top", device.path, "--once", "--interval", "0.5", "--json")
    let view = try JSONDecoder().decode(
      View.self, from: Data(json.output.joined(separator: "\n").utf8))
    let page = try #require(view.pages.first)
    #expect(page.name == "esb:0x5:management" && page.exact > 100 && page.pq == "01")
    #expect(view.rates["load", default: 0] >= page.exact)
    #expect(view.pq == ["01": 1] && view.consumers.first?.name == "TestConsumer")
  }

  private struct View: Decodable {
    struct Page: Decodable {
      let name: String
      let exact: Double
      let pq: String
    }
    struct Consumer: Decodable { let name: String? }
    let rates: [String: Double]
    let pages: [Page]
    let pq: [String: Int]
    let consumers: [Consumer]
  }

  @Test("Without a terminal it says what to do; without a server it is 69")
  func refusals() throws {
    let device = try ServedDevice()
    let pipe = try CommandResult.xive("trace", "top", device.path)
    #expect(pipe.exitCode == 64 && pipe.output == [])
    #expect(pipe.errors == ["xive: trace top: needs a terminal: say --once for a table"])
    let none = try CommandResult.xive("trace", "top", "/nonexistent/device", "--once")
    #expect(none.exitCode == 69 && none.errors.count == 1)
    for words in [["--interval", "0"], ["--json"], ["--sort", "x"], ["--pages", "0", "--once"]] {
      let run = try CommandResult([Built.path("xive"), "trace", "top", device.path] + words)
      #expect(run.exitCode == 64, "\(words)")
    }
  }
}
