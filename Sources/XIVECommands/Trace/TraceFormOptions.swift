internal import ArgumentParser
internal import Glibc
internal import SystemCalls
internal import XIVETrace

/// In which form events are shown.
struct TraceFormOptions: ParsableArguments {
  /// Another form than lines for people.
  enum Form: String, EnumerableFlag {
    case json
    case chrome
    case perf

    static func help(for value: Form) -> ArgumentHelp? {
      switch value {
      case .json: "Print JSON lines: an object for each event."
      case .chrome: "Print Chrome trace JSON, which Perfetto opens."
      case .perf: "Print text as perf script does, for its scripts."
      }
    }
  }

  @Flag var form: Form?
  @Flag(help: "Show names of threads and the kernel's repeated questions, too.") var raw = false
  @Option(help: "Times of lines: relative, monotonic or wall.") var time: LineTime = .relative

  /// Which clock lines begin with.
  enum LineTime: String, CaseIterable, ExpressibleByArgument {
    case relative
    case monotonic
    case wall
  }

  /// What makes the form.
  /// - Parameters:
  ///   - device: what is traced.
  ///   - isTerminal: whether it goes to a terminal, which has colours.
  /// - Returns: a renderer that nothing was given to yet.
  func renderer(_ device: TracedDevice, isTerminal: Bool) -> any TraceRenderer {
    switch form {
    case .json: JSONRenderer()
    case .chrome: ChromeRenderer(device)
    case .perf: PerfRenderer()
    case nil:
      TextRenderer(
        start: device.start, clock: clock, timeZone: Self.timeZone(device.start),
        // Source: no-color.org.
        hasColor: isTerminal && Program.variable("NO_COLOR") == nil)
    }
  }

  private var clock: TextRenderer.Clock {
    switch time {
    case .relative: .relative
    case .monotonic: .monotonic
    case .wall: .wall
    }
  }

  /// Seconds that local time is ahead of UTC at a moment.
  private static func timeZone(_ start: TracedDevice.Start) -> Int {
    var seconds = time_t(start.realtime / 1_000_000_000)
    var parts = unsafe tm()
    unsafe localtime_r(&seconds, &parts)
    return unsafe parts.tm_gmtoff
  }
}
