internal import DeviceFile
internal import Synchronization
internal import SystemCalls
internal import XIVEDevice
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
  func show(_ fills: [AnsweredRequest], _ device: XIVEDevice) {
    let rows = fills.prefix(16).map { Self.row($0, device) }
    print("\n  faults resolved:")
    let head = ["  offset", "page", "backing", "generation", "KiB", "us"]
    print(table([head] + rows, rightAligned: [3, 4, 5]))
    if fills.count > 16 { print("  and \(fills.count - 16) more") }
    flushOutput()
  }

  /// Says how many pages were filled, where what served them has changed since.
  func showFillCount(_ fills: [AnsweredRequest]) {
    note("\(fills.count) faults resolved; what a zap took away was filled anew at the next touch")
    flushOutput()
  }

  private static func row(_ fill: AnsweredRequest, _ device: XIVEDevice) -> [String] {
    let target = device.map.target(at: fill.offset)
    let (backing, generation) = backing(of: target, fill.succeeded, device)
    let tenths = (fill.nanoseconds + 50) / 100
    return [
      "  " + hexadecimal(fill.offset, digits: 11), target?.description ?? "-", backing, generation,
      "\(fill.byteCount / 1_024)", "\(tenths / 10).\(tenths % 10)",
    ]
  }

  private static func backing(of target: PageTarget?, _ succeeded: Bool, _ device: XIVEDevice)
    -> (String, String)
  {
    guard succeeded else { return ("none: SIGBUS", "-") }
    guard case .esb(let lisn, _) = target, let word = device.backingWord(of: lisn) else {
      return ("TIMA", "-")
    }
    switch word.backing {
    case .phb(let phb, let irq):
      return ("PHB \(phb.rawValue) irq \(irq.rawValue)", "\(word.generation)")
    default: return ("IPI", "\(word.generation)")
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

/// Collects the page fills that the server answered; of all else there are millions.
final class FaultLog: RequestObserver {
  private let requests = Mutex<[AnsweredRequest]>([])

  func answered(_ request: AnsweredRequest) {
    guard request.kind == .fill else { return }
    requests.withLock { $0.append(request) }
  }

  /// Takes out what has been collected.
  func take() -> [AnsweredRequest] {
    requests.withLock { requests in
      defer { requests = [] }
      return requests
    }
  }
}
