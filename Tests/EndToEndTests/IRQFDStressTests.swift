import CXIVE
import Testing
import XIVETestSupport

extension StressTests {
  @Suite("irqfds under stress")
  struct IRQFDStressTests {
    private static let options = [
      "--sources", "128", "--create", "32-47", "--create", "48-63:lsi",
    ]

    @Test(
      "Owners that close, duplicate, deassign, fork, leave and are killed leave nothing behind, and take nothing from others"
    )
    func chaos() throws {
      var device = try ServedDevice(Self.options)
      var witness = try Consumer(opening: device.path)
      let before = try Footprint(of: device, by: &witness)
      var guest = try Consumer()
      try guest.expect("traffic-start \(device.path) 0 0 60000")
      var crowd = try Consumer()
      let milliseconds = RandomTests.milliseconds
      let seed = Seed.value % 1_000_000_007
      let answer = try crowd.ask(
        "chaos \(device.path) 32 16 \(milliseconds) \(seed)", within: milliseconds + 120_000)
      #expect(
        answer.hasPrefix("ok started=") && answer.hasSuffix("failed=0"),
        "\(answer), \(Seed.comment)")
      let report = try guest.endTraffic()
      #expect(report.taken.allSatisfy { $0 > 0 }, "\(report)")
      #expect(report["told"] == report["ended"] && report["told"] > 0)
      let after = try device.settled(at: before, by: &witness)
      #expect(after == before, "\(Seed.comment)")
      let injection: xive_info_injection = try witness.info(XIVE_INFO_INJECTION)
      #expect(injection.injected > 0 && injection.resampled > UInt64(report["told"]))
      #expect(device.stop() == 0)
    }

    @Test("A server that ends under the stress ends in good order")
    func serverEnds() throws {
      var device = try ServedDevice(Self.options)
      var crowd = try Consumer()
      crowd.send("chaos \(device.path) 32 16 1500 \(Seed.value % 1_000_000_007)")
      try crowd.expectRunning(device.path)
      #expect(device.stop() == 0)
      _ = try crowd.answer(within: 120_000)
    }
  }
}

extension Consumer {
  /// Waits until a device has heard of irqfds.
  fileprivate func expectRunning(_ path: String) throws {
    var witness = try Consumer(opening: path)
    for _ in 0..<6_000 {
      let injection: xive_info_injection = try witness.info(XIVE_INFO_INJECTION)
      if injection.injected > 100 { return }
      try witness.expect("sleep 10")
    }
    throw SupportFailure("nothing was injected")
  }
}
