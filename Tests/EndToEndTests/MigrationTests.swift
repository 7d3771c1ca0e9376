import Testing
import XIVETestSupport

extension StressTests {
  @Suite("Moving a machine under traffic")
  struct MigrationTests {
    private static let options = ["--sources", "128", "--max-vcpus", "16"]

    /// How often a machine is moved; `XIVE_TEST_MOVES=200` for a long run.
    private static let moves = Requirement.environment("XIVE_TEST_MOVES").flatMap(Int.init) ?? 6

    @Test(
      "Back and forth between two servers, with vCPUs stopped anywhere and devices that never stop: each event is handled, and once",
      arguments: ["4k", "64k"])
    func backAndForth(_ pageSize: String) throws {
      var devices = Pair(
        try ServedDevice(Self.options + ["--page-size", pageSize]),
        try ServedDevice(Self.options + ["--page-size", pageSize, "--threads", "2"]))
      var guest = try Consumer()
      try guest.expect("traffic-start \(devices.first.path) 0 0 60000 reset")
      for move in 1...Self.moves {
        try guest.expect("sleep 200")
        let target = move % 2 == 1 ? devices.second.path : devices.first.path
        try guest.expect("traffic-halt \(target) \(move % 3 == 0 ? "same" : "copy")")
        // vCPUs come before the state, or after it.
        if move % 4 >= 2 { try guest.expect("traffic-connect") }
        try guest.expect("traffic-transfer")
        if move % 4 < 2 { try guest.expect("traffic-connect") }
        // Events reach the old machine meanwhile.
        try guest.expect("traffic-late")
        try guest.expect("sleep 50")
        try guest.expect("traffic-join")
      }
      try guest.expect("sleep 200")
      try devices.expectAll(guest.endTraffic(), moves: Self.moves)
    }

    @Test("The same by xive save --stop and xive restore")
    func byCommands() throws {
      var devices = Pair(try ServedDevice(Self.options), try ServedDevice(Self.options))
      let directory = try TemporaryDirectory()
      let file = directory.path + "/state"
      var guest = try Consumer()
      try guest.expect("traffic-start \(devices.first.path) 0 0 60000 reset")
      for move in 1...4 {
        try guest.expect("sleep 200")
        let (from, to) =
          move % 2 == 1
          ? (devices.first.path, devices.second.path) : (devices.second.path, devices.first.path)
        try guest.expect("traffic-halt \(to) copy")
        try run("save", from, file, "--stop")
        try run("restore", to, file, "--keep-stopped")
        try guest.expect("traffic-connect")
        try guest.expect("traffic-late")
        try guest.expect("sleep 50")
        try guest.expect("traffic-join")
      }
      try guest.expect("sleep 200")
      try devices.expectAll(guest.endTraffic(), moves: 4)
    }

    private func run(_ arguments: String...) throws {
      let result = try CommandResult([Built.path("xive")] + arguments, within: 120_000)
      #expect(result.exitCode == 0, "\(result.errors)")
    }
  }
}

/// Two servers.
private struct Pair: ~Copyable {
  var first, second: ServedDevice

  init(_ first: consuming ServedDevice, _ second: consuming ServedDevice) {
    self.first = first
    self.second = second
  }

  /// What an account that is whole says.
  mutating func expectAll(_ report: TrafficReport, moves: Int) throws {
    #expect(report["moves"] == moves)
    #expect(report.taken.allSatisfy { $0 > 0 }, "\(report)")
    #expect(report["told"] == report["ended"])
    #expect(report["late"] > 0, "nothing ever came in between")
    #expect(first.stop() == 0)
    #expect(second.stop() == 0)
  }
}
