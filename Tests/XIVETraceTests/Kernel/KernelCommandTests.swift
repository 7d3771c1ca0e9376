import FoundationEssentials
import SystemCalls
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("xive trace --kernel", .hangGuard, .enabled(if: canTrace))
struct KernelCommandTests {
  /// What is read of a line.
  private struct Line: Decodable {
    let kind: String
    let name: String?
    let address: String?
    let symbol: String?
    let access: String?
    let outcome: String?
    let fault_queue_ns: UInt64?
  }

  /// Waits until a tracer asks the kernel.
  private func waitForThread(_ name: String, of process: Int32) throws {
    for _ in 0..<6_000 {
      let names = TracedProcess(id: process).threads.map {
        TextFile.contents(of: "/proc/\(process)/task/\($0)/comm")
      }
      if names.contains(name + "\n") { return }
      MonotonicClock.sleep(nanoseconds: 10_000_000)
    }
    throw SupportFailure("the tracer has no thread \(name)")
  }

  /// Touches three pages, one of them twice, under the eyes of a tracer.
  private func trace(_ words: String...) throws -> [String] {
    let device = try ServedDevice(["--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    var tracer = try ChildProcess(
      Built.path("xive"),
      [
        "trace", device.path, "--kernel", "\(consumer.processID)", "-f", "--kind",
        "fill,kernel-fault",
      ]
        + words)
    try waitForThread("fault-places", of: tracer.id)
    try consumer.expect("map 0 0 \(Region.esb.start) 262144 rw shared")
    try consumer.expect("advise 0 0 262144 random")
    try consumer.expect("load 0 4096 8")
    try consumer.expect("store 0 \(2 * 4_096 + 8) 8 0")
    #expect(try consumer.ask("load 0 \(40 * 4_096 + 16) 8").hasPrefix("sigbus"))
    try consumer.expect("map 1 0 \(Region.esb.start) 65536 r shared")
    try consumer.expect("load 1 \(4_096 + 24) 8")
    tracer.signal(2)
    var lines: [String] = []
    while let line = tracer.line(within: 60_000) { lines.append(line) }
    #expect(tracer.exitCode(within: 60_000) == 0)
    return lines
  }

  private func check(_ lines: [String]) throws {
    let found = try lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    #expect(Set(found.map(\.kind)) == ["fill", "minor-fault"])
    let minor = try #require(found.first { $0.kind == "minor-fault" })
    #expect(minor.name == "esb:0x0:management+0x18")
    #expect(minor.symbol?.hasPrefix("guarded_load+0x") == true)
    #expect(minor.fault_queue_ns == nil)
    let fills = found.filter { $0.kind == "fill" }
    #expect(fills.map(\.name) == ["esb:0x0:management", "esb:0x1:trigger", "esb:0x14:trigger"])
    #expect(
      fills.map { $0.symbol?.split(separator: "+").first } == [
        "guarded_load", "guarded_store", "guarded_load",
      ])
    #expect(fills.map(\.access) == ["read", "write", "read"])
    #expect(fills.map { $0.address?.suffix(3) } == ["000", "008", "010"])
    #expect(fills.map(\.outcome).prefix(2) == ["major", "major"])
    #expect(fills.allSatisfy { ($0.fault_queue_ns ?? 0) > 0 })
  }

  @Test("Fills have address, instruction and access; a minor fault is a line of its own")
  func live() throws { try check(trace("--json")) }

  @Test("A recorded file has the same to tell")
  func recorded() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/file.xivetrace"
    #expect(try trace("-o", file) == [])
    try check(
      CommandResult.xive("trace", "convert", file, "--json", "--kind", "fill,kernel-fault").output)
    let text = try CommandResult.xive("trace", "convert", file).output.joined(separator: "\n")
    #expect(text.contains("write 0x"))
  }

  @Test("A process that is not there: one line, and the rest goes on")
  func missing() throws {
    let device = try ServedDevice(["--create", "0-15"])
    let result = try CommandResult.xive(
      "trace", device.path, "--kernel", "1073741823", "--duration", "50ms")
    #expect(result.exitCode == 0)
    let lines = result.errors.filter { $0.hasPrefix("xive: ") }
    #expect(lines.count == 1)
    #expect(lines.first?.hasPrefix("xive: --kernel: process 1073741823: there is none") == true)
  }
}
