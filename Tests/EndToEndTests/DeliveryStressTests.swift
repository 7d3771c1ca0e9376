import CXIVE
import SystemCalls
import Testing
import XIVETestSupport

@Suite("Delivery under load", .enabled(if: Requirement.canMount), .hangGuard)
struct DeliveryStressTests {
  /// Events that are sent one by one; `XIVE_TEST_EVENTS=1000000` for a long run.
  private static let count =
    Requirement.environment("XIVE_TEST_EVENTS").flatMap(UInt64.init) ?? 24_000

  @Test(
    "vCPUs, devices, a scheduler and hot-plug at once: each event is handled, and once",
    arguments: [["--tick", "1"], ["--threads", "2", "--page-size", "64k"]])
  func exactlyOnce(_ options: [String]) throws {
    var device = try ServedDevice(options)
    let run = try ProgramRun(
      Built.path("xive"), ["guest", device.path, "--events", "\(Self.count)"],
      within: 60_000 + Int(Self.count))
    #expect(run.exitCode == 0, "\(run.text)")
    #expect(run.lines.count == 9 && run.lines.allSatisfy { $0.hasPrefix("ok ") }, "\(run.text)")
    #expect(run.text.contains("\(Self.count) events in "))
    #expect(run.text.contains(", none lost, none twice: "))
    // The device's own word, asked by another.
    var witness = try Consumer(opening: device.path)
    let delivery = try witness.delivery()
    #expect(delivery.entries > Self.count && delivery.entries < 2 * Self.count)
    #expect(delivery.entries == delivery.notified + delivery.backlogged)
    #expect(delivery.backlogged > 0, "nothing ever came while a vCPU did not run")
    #expect(delivery.coalesced + delivery.escalated + delivery.masked + delivery.undelivered == 0)
    let counters: xive_info_counters = try witness.info(XIVE_INFO_COUNTERS)
    #expect(counters.events == delivery.entries && counters.guest_errors == 0)
    #expect(try witness.await { $0.vcpus == 0 })
    #expect(device.stop() == 0)
  }

  /// What somebody does to a guest behind its back.
  enum Mischief: CaseIterable {
    case takeServer, mask, trigger
  }

  @Test(
    "The guest finds fault where there is some: a server that is taken, an event lost, an event too many",
    arguments: Mischief.allCases)
  func fault(_ mischief: Mischief) throws {
    let device = try ServedDevice()
    var other = try Consumer(opening: device.path)
    if mischief == .takeServer { #expect(try other.connect(to: 2).hasPrefix("ok")) }
    var guest = try ChildProcess(
      Built.path("xive"), ["guest", device.path, "--events", "20000", "--patience", "2"])
    if mischief != .takeServer {
      #expect(try other.await { $0.entries >= 100 })
      // The IPI of vCPU 0 to vCPU 1: its events are dropped, and its PQ stays 10.
      let masked = Payload(xive_source_config(0, 0, 0, 1)).hex
      if mischief == .mask { try other.expect("attr 0 set 3 1 \(masked)") }
      for _ in 0..<200 where mischief == .trigger { try other.store(at: triggerPage(1)) }
    }
    var lines: [String] = []
    while let line = guest.line(within: 60_000) { lines.append(line) }
    #expect(guest.exitCode(within: 10_000) == 1, "\(lines)")
    switch mischief {
    case .takeServer: #expect(lines == [])
    case .mask:
      #expect(
        lines.contains { $0.hasPrefix("NOT lost") && $0.contains("0x1 at PQ 10") }, "\(lines)")
    case .trigger:
      #expect(lines.contains("NOT LISN 0x1: more events came than were sent"), "\(lines)")
    }
  }
}
