import FoundationEssentials
import SystemCalls
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Save and restore", .enabled(if: Requirement.canMount), .hangGuard)
struct StateCommandTests {
  @Test("A machine that was saved and restored on a second server is the same, byte by byte")
  func roundTrip() throws {
    let guest = try StateGuest()
    let other = try StateGuest()
    let directory = try TemporaryDirectory()
    try guest.fill()
    let (first, second) = (directory.path + "/first", directory.path + "/second")
    let save = try CommandResult.xive("save", guest.served.path, first)
    #expect(save.exitCode == 0 && save.errors == [])
    let what = "256 sources, 1 vCPU, 1 queue (5 KiB)"
    #expect(save.output == ["saved \(what) from \(guest.served.path) to \(first)"])
    let dry = try CommandResult.xive("restore", other.served.path, first, "--dry-run")
    #expect(dry.output == ["could restore \(what) to \(other.served.path) from \(first)"])
    #expect(try MachineState.read(from: other.device).vps == [], "nothing was changed")
    let restore = try CommandResult.xive("restore", other.served.path, first)
    #expect(restore.exitCode == 0 && restore.errors == [])
    #expect(restore.output == ["restored \(what) to \(other.served.path) from \(first)"])
    #expect(try CommandResult.xive("save", other.served.path, second).exitCode == 0)
    #expect(try contents(of: first) == contents(of: second))
    #expect(try contents(of: first) == guest.bytes())
    #expect(try guest.device.isRunning() && other.device.isRunning())
    let reader = Built.sourceRoot + "/tools/state/read_state.py"
    if Requirement.has("python3", package: "python3") {
      let run = try CommandResult([reader, first])
      #expect(run.exitCode == 0 && run.errors == [])
      #expect(run.output.joined().contains("\"ends\": [{\"index\": 22,"))
    }
  }

  @Test("A machine is left as it was found, or stopped when that is asked for")
  func stopping() throws {
    let guest = try StateGuest()
    let directory = try TemporaryDirectory()
    let file = directory.path + "/state"
    let save = try CommandResult.xive("save", guest.served.path, file, "--stop")
    let hint = "; the machine is stopped until xive resume \(guest.served.path)"
    #expect(save.output.first?.hasSuffix(hint) == true)
    #expect(try !guest.device.isRunning())
    #expect(try CommandResult.xive("save", guest.served.path, file).exitCode == 0)
    #expect(try !guest.device.isRunning(), "as it was found")
    #expect(try CommandResult.xive("restore", guest.served.path, file).exitCode == 0)
    #expect(try !guest.device.isRunning(), "as it was found")
    try guest.device.resumeMachine()
    #expect(try CommandResult.xive("restore", guest.served.path, file).exitCode == 0)
    #expect(try guest.device.isRunning())
    let kept = try CommandResult.xive("restore", guest.served.path, file, "--keep-stopped")
    #expect(kept.output.first?.hasSuffix(hint) == true)
    #expect(try !guest.device.isRunning())
    let path = guest.served.path
    for words in ["runs", "runs already"] {
      #expect(try CommandResult.xive("resume", path).output == ["\(path): \(words)"])
      #expect(try guest.device.isRunning())
    }
    // A file that cannot be written is found before anything is stopped.
    let refused = try CommandResult.xive("save", guest.served.path, directory.path, "--stop")
    #expect(refused.exitCode == 1)
    #expect(try guest.device.isRunning())
    let reserved = try CommandResult.xive(
      "save", guest.served.path, guest.served.path, "--stop")
    #expect(reserved.exitCode == 1 && reserved.errors.count == 1, "the device itself")
    #expect(try guest.device.isRunning())
  }

  @Test("Events that were stopped at their sources are delivered when the machine runs again")
  func events() throws {
    let guest = try StateGuest()
    let other = try StateGuest()
    let directory = try TemporaryDirectory()
    try guest.fill()
    let file = directory.path + "/state"
    try guest.device.stopMachine()
    let lisn = LISN(rawValue: 4)
    try guest.device.setPQ(of: lisn, to: .reset)
    try guest.device.trigger(lisn)
    let save = try CommandResult.xive("save", guest.served.path, file, "--json")
    #expect(try Report(save).latchedEvents == 1)
    #expect(try CommandResult.xive("restore", other.served.path, file).exitCode == 0)
    #expect(try other.device.deliveryCounters().entries == 1)
    #expect(try guest.device.deliveryCounters().entries == 0)
    try guest.device.resumeMachine()
    #expect(try guest.device.deliveryCounters().entries == 1)
  }

  @Test("Programs get an object")
  func json() throws {
    let guest = try StateGuest()
    let other = try StateGuest()
    let directory = try TemporaryDirectory()
    try guest.fill()
    let file = directory.path + "/state"
    let save = try Report(CommandResult.xive("save", guest.served.path, file, "--json"))
    #expect(save.schemaVersion == 1 && save.device == guest.served.path && save.file == file)
    #expect(save.byteCount == 116 + 24 + 40 + 256 * 16)
    #expect(save.sources == 256 && save.createdSources == 18 && save.servers == 1_024)
    #expect(save.vcpus == 1 && save.ends == 1 && save.queues == 1 && save.latchedEvents == 0)
    #expect(save.isRunning)
    let restore = try Report(
      CommandResult.xive("restore", other.served.path, file, "--json", "--keep-stopped"))
    #expect(restore.device == other.served.path && restore.byteCount == save.byteCount)
    #expect(restore.queues == 1 && !restore.isRunning)
  }
}

/// What `--json` prints.
private struct Report: Decodable {
  let schemaVersion, byteCount, sources, createdSources, latchedEvents, servers: Int
  let vcpus, ends, queues: Int
  let device, file: String
  let isRunning: Bool

  init(_ result: CommandResult) throws {
    #expect(result.exitCode == 0 && result.errors == [])
    self = try JSONDecoder().decode(Report.self, from: Data(result.output.joined().utf8))
  }
}
