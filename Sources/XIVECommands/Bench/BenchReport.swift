internal import Glibc
internal import SystemCalls

/// One line of the report.
struct BenchFigure: Encodable {
  let id: String
  let name: String
  let unit: String
  let xive: Spread?
  let baseline: Spread?
  let ratio: Ratio?
  /// What is held against the target: the ratio by round, or the median where there is none to form.
  let judged: Double?
  /// Nil for a figure that is shown and not judged.
  let target: Target?
  /// Whether the target is met; nil where there is nothing to judge.
  let met: Bool?
  /// Why it was not measured.
  let skipped: String?

  init(
    id: String, name: String, unit: String, xive: Spread?, baseline: Spread? = nil,
    ratio: Ratio? = nil, judged: Double?, target: Target?, skipped: String? = nil
  ) {
    self.id = id
    self.name = name
    self.unit = unit
    self.xive = xive
    self.baseline = baseline
    self.ratio = ratio
    self.judged = judged
    self.target = target
    met = judged.flatMap { value in target?.isMet(value) }
    self.skipped = skipped
  }

  /// The bound of a good figure, at one side.
  struct Target: Encodable {
    private var atMost: Double?
    private var atLeast: Double?

    static func atMost(_ limit: Double) -> Target { Target(atMost: limit) }
    static func atLeast(_ limit: Double) -> Target { Target(atLeast: limit) }

    func isMet(_ value: Double) -> Bool {
      value <= atMost ?? .infinity && value >= atLeast ?? -.infinity
    }

    var text: String {
      if let atMost { return "<= \(decimal(atMost))" }
      return ">= \(decimal(atLeast))"
    }
  }
}

/// The result of a run, for people and for programs.
struct BenchReport: Encodable {
  let schemaVersion = 1
  let machine = Machine()
  let isQuick: Bool
  let figures: [BenchFigure]
  private let hasBaseline: Bool

  init(isQuick: Bool, figures: [BenchFigure], hasBaseline: Bool) {
    self.isQuick = isQuick
    self.figures = figures
    self.hasBaseline = hasBaseline
  }

  /// The machine, a table and what is missing in it.
  var text: String { ([machine.text, figures.text] + missing).joined(separator: "\n") }

  private var missing: [String] {
    let skipped = figures.compactMap { figure in
      figure.skipped.map { "\(figure.name): skipped: \($0)" }
    }
    return skipped + (hasBaseline ? [] : [Self.baselineHint])
  }

  static let baselineHint = "Ratios to the C server need it: run tools/bench."
}

extension [BenchFigure] {
  /// A table.
  var text: String {
    let head = [
      "figure", "unit", "p50", "p99", "C p50", "C p99", "ratio", "by round", "target", "met",
    ]
    return table([head] + map(\.cells), rightAligned: [2, 3, 4, 5, 6, 7])
  }
}

extension BenchFigure {
  fileprivate var cells: [String] {
    [
      name, unit, decimal(xive?.p50), decimal(xive?.p99), decimal(baseline?.p50),
      decimal(baseline?.p99), decimal(ratio?.ofMedians), decimal(ratio?.medianOfRounds),
      target?.text ?? "-", met.map { $0 ? "yes" : "no" } ?? "-",
    ]
  }
}

/// The machine that was measured on.
struct Machine: Encodable {
  let kernel: String
  let processor: String
  let processorCount: Int

  init() {
    kernel =
      TextFile.contents(of: "/proc/sys/kernel/osrelease").split(separator: "\n").first
      .map(String.init) ?? "unknown"
    let models = TextFile.contents(of: "/proc/cpuinfo").split(separator: "\n")
      .filter { $0.hasPrefix("model name") }
    processor =
      models.first?.split(separator: ":").last
      .map { String($0.drop { $0 == " " }) } ?? "unknown"
    processorCount = MonotonicClock.processorCount
  }

  var text: String { "Linux \(kernel), \(processorCount) x \(processor)" }
}

/// Writes a number with as many decimals as its size deserves; `-` for nothing.
func decimal(_ value: Double?) -> String {
  guard let value, value.isFinite else { return "-" }
  let decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2
  let scale = [1.0, 10, 100][decimals]
  let digits = String(Int((value * scale).rounded()))
  guard decimals > 0 else { return digits }
  let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
  return "\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
}
