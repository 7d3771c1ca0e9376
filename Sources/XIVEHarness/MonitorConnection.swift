internal import SystemCalls
internal import SystemPackage

/// QEMU's machine protocol, as far as commands, their answers and events go: one JSON object a line.
///
/// Source: QEMU `docs/interop/qmp-spec.rst`.
final class MonitorConnection {
  private var stream: LocalStream
  /// Events that came before anybody waited for them.
  private var events: [String] = []

  private static let patience = 10_000

  init(_ path: String) throws(Errno) {
    stream = try LocalStream(path)
    guard let greeting = stream.line(within: Self.patience), greeting.contains("\"QMP\""),
      execute(#"{"execute": "qmp_capabilities"}"#)?.hasPrefix(#"{"return""#) == true
    else { throw .protocolError }
  }

  /// Executes a command; what happens before its answer is kept.
  func execute(_ command: String) -> String? {
    stream.send(command)
    while let line = stream.line(within: Self.patience) {
      if !line.contains("\"event\"") { return line }
      events.append(line)
    }
    return nil
  }

  /// Waits for an event; those before it are dropped.
  func event(_ name: String) -> String? {
    while let line = events.isEmpty ? stream.line(within: Self.patience) : events.removeFirst() {
      if line.contains("\"event\": \"\(name)\"") { return line }
    }
    return nil
  }
}
