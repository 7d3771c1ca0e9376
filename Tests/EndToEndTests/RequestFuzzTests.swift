import Testing
import XIVETestSupport

extension StressTests {
  @Suite("Random requests")
  struct RequestFuzzTests {
    private static let options = [
      "--sources", "128", "--create", "32-63", "--create", "64-79:lsi", "--phb", "0:16", "--phb",
      "1:8:4", "--max-vcpus", "64",
    ]

    private func fuzz(
      _ device: borrowing ServedDevice, processes: Int, _ kind: String, firstLISN: Int
    ) throws -> (requests: Int, successes: Int, answer: String) {
      let milliseconds = RandomTests.milliseconds
      var crowd = try Consumer()
      let seed = Seed.value % 1_000_000_007
      let answer = try crowd.ask(
        "fuzz \(device.path) \(processes) \(milliseconds) \(seed) \(kind) \(firstLISN)",
        within: milliseconds + 120_000)
      let numbers = answer.split(separator: " ").compactMap { word in
        word.split(separator: "=").last.flatMap { Int($0) }
      }
      guard answer.hasPrefix("ok "), numbers.count == 3, numbers[2] == 0 else {
        throw SupportFailure("\(answer), \(Seed.comment)")
      }
      return (numbers[0], numbers[1], answer)
    }

    @Test("A server survives everything at once, and keeps nothing of it", arguments: ["2", "4"])
    func all(_ threads: String) throws {
      var device = try ServedDevice(Self.options + ["--threads", threads])
      var witness = try Consumer(opening: device.path)
      let before = try Footprint(of: device, by: &witness)
      let run = try fuzz(device, processes: 8, "all", firstLISN: 0)
      #expect(run.successes > 100 && run.requests > 2 * run.successes, "\(run.answer)")
      let after = try device.settled(at: before, by: &witness)
      #expect(after == before, "\(Seed.comment)")
      // It serves the next guest, who takes PHBs away, which RESET leaves.
      let nothing = String(repeating: "0", count: 32)
      _ = try witness.ask(all: (0..<1_024).map { "attr 0 set 0x40 \($0) \(nothing)" })
      try witness.expect("attr 0 set 1 1 null")
      var guest = try Consumer()
      try guest.expect("traffic-start \(device.path) 0 0 60000 reset")
      try guest.expect("sleep 200")
      let report = try guest.endTraffic()
      #expect(report.taken.allSatisfy { $0 > 0 })
      #expect(try device.settled(at: before, by: &witness) == before)
      #expect(device.stop() == 0, "\(Seed.comment)")
    }

    @Test("Whoever asks for what is not another's does not disturb it")
    func gentle() throws {
      var device = try ServedDevice(Self.options)
      var witness = try Consumer(opening: device.path)
      let before = try Footprint(of: device, by: &witness)
      var guest = try Consumer()
      try guest.expect("traffic-start \(device.path) 0 0 60000")
      let run = try fuzz(device, processes: 4, "gentle", firstLISN: 24)
      #expect(run.successes > 100, "\(run.answer)")
      let report = try guest.endTraffic()
      #expect(
        report.taken.allSatisfy { $0 > 0 } && report["told"] == report["ended"], "\(Seed.comment)")
      #expect(try device.settled(at: before, by: &witness) == before, "\(Seed.comment)")
      #expect(device.stop() == 0, "\(Seed.comment)")
    }
  }
}
