internal import XIVEClient

/// What was saved or restored: a line for people, an object for programs.
struct StateReport: Encodable {
  let schemaVersion = 1
  let device: String
  let file: String
  let byteCount: Int
  let sources: Int
  let createdSources: Int
  let latchedEvents: Int
  let servers: UInt32
  let vcpus: Int
  let ends: Int
  let queues: Int
  /// Whether the machine runs now.
  let isRunning: Bool

  init(
    _ state: MachineState, device: String, file: String, byteCount: Int, isRunning: Bool
  ) {
    self.device = device
    self.file = file
    self.byteCount = byteCount
    self.isRunning = isRunning
    sources = state.sources.count
    createdSources = state.createdSourceCount
    latchedEvents = state.latchedCount
    servers = state.serverCount
    vcpus = state.vps.count
    ends = state.ends.count
    queues = state.queueCount
  }

  private var what: String {
    "\(counted(sources, "source")), \(counted(vcpus, "vCPU")), \(counted(queues, "queue")) "
      + "(\((byteCount + 1_023) / 1_024) KiB)"
  }

  private var stopped: String {
    isRunning ? "" : "; the machine is stopped until xive resume \(device)"
  }

  var saved: String { "saved \(what) from \(device) to \(file)\(stopped)" }

  func restored(isDryRun: Bool) -> String {
    isDryRun
      ? "could restore \(what) to \(device) from \(file)"
      : "restored \(what) to \(device) from \(file)\(stopped)"
  }

  private func counted(_ count: Int, _ what: String) -> String {
    "\(count) \(what)\(count == 1 ? "" : "s")"
  }
}

/// One line on standard error that tells how far it is; nothing when that is no terminal.
struct StateProgress {
  private let isOn = errorsAreWatched

  /// Shows how many vCPUs and ENDs have been read; few take no time that anybody would see.
  func show(_ done: Int, of count: Int) {
    if isOn, count >= 4_096 { writeError("\r\u{1b}[Kreading vCPUs and ENDs: \(done) of \(count)") }
  }

  /// Wipes the line.
  func clear() { if isOn { writeError("\r\u{1b}[K") } }
}
