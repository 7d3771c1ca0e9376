internal import SystemCalls
internal import TraceRecords
internal import XIVEModel

/// Where the demo shows things, and counts what did not go as expected.
struct DemoStage {
  private(set) var failures = 0
  private var number = 0

  /// Longest that a consumer's line may take, in milliseconds.
  private static let patience = 30_000

  mutating func title(_ text: String) {
    number += 1
    print("\n\(number). \(text)")
    flushOutput()
  }

  func note(_ text: String) { print("  \(text)") }

  mutating func expect(_ checks: [Check]) {
    for check in checks {
      print("  \(check.isMet ? "ok " : "NOT") \(check.text)")
      if !check.isMet { failures += 1 }
    }
  }

  /// Runs a consumer to its end and shows what it says.
  mutating func run(
    _ program: String, _ arguments: [String], within milliseconds: Int = Self.patience
  ) {
    guard var child = try? ChildProcess(program, arguments) else {
      return expect([Check(false, "\(program): cannot be started")])
    }
    while let line = child.line(within: milliseconds) { print("  \(line)") }
    let code = child.exitCode(within: milliseconds)
    if code != 0 {
      expect([Check(false, "\(program): exit status \(code.map { "\($0)" } ?? "none")")])
    }
    flushOutput()
  }

  /// Shows the faults that the server resolved meanwhile.
  func show(_ fills: [TraceRecord], _ map: DeviceMap) {
    let rows = fills.prefix(16).map { Self.row($0, map) }
    print("\n  faults resolved:")
    let head = ["  offset", "page", "backing", "generation", "KiB", "us"]
    print(table([head] + rows, rightAligned: [3, 4, 5]))
    if fills.count > 16 { print("  and \(fills.count - 16) more") }
    flushOutput()
  }

  /// Says how many pages were filled, where what served them has changed since.
  func showFillCount(_ fills: [TraceRecord]) {
    note("\(fills.count) faults resolved; what a zap took away was filled anew at the next touch")
    flushOutput()
  }

  private static func row(_ fill: TraceRecord, _ map: DeviceMap) -> [String] {
    let offset = fill.offset ?? 0
    let tenths = (fill.serviceTime + 50) / 100
    let isKnown = fill.backing == .ipi || fill.backing == .phb
    return [
      "  " + hexadecimal(offset, digits: 11), map.target(at: offset)?.description ?? "-",
      backing(of: fill), isKnown ? "\(fill.generation)" : "-", "\(fill.value / 1_024)",
      "\(tenths / 10).\(tenths % 10)",
    ]
  }

  private static func backing(of fill: TraceRecord) -> String {
    guard fill.result == .ok else { return "none: SIGBUS" }
    switch fill.backing {
    case .phb: return fill.hardware.map { "PHB \($0.phb) irq \($0.irq)" } ?? "PHB"
    case .ipi: return "IPI"
    case .end: return "END"
    case .tima, nil: return "TIMA"
    }
  }
}

/// One expectation.
struct Check: Hashable {
  let isMet: Bool
  let text: String

  init(_ isMet: Bool, _ text: String) {
    self.isMet = isMet
    self.text = text
  }
}
