/// What the map's colour can show.
enum ReportMeasure: String, Hashable, Sendable, CaseIterable {
  case faults, refaults, sigbus, time

  /// What a switch calls it.
  var name: String {
    switch self {
    case .faults: "Faults"
    case .refaults: "Refaults"
    case .sigbus: "SIGBUS"
    case .time: "Time in faults"
    }
  }

  /// What it is called within a sentence.
  var noun: String { self == .sigbus ? name : name.lowercased() }
}

/// Figures of a page, a cell or an area.
struct ReportCounts: Hashable, Sendable {
  var faults: UInt64 = 0
  var refaults: UInt64 = 0
  var sigbus: UInt64 = 0
  /// Nanoseconds.
  var time: UInt64 = 0

  subscript(measure: ReportMeasure) -> UInt64 {
    switch measure {
    case .faults: faults
    case .refaults: refaults
    case .sigbus: sigbus
    case .time: time
    }
  }

  static func += (a: inout Self, b: Self) {
    a.faults += b.faults
    a.refaults += b.refaults
    a.sigbus += b.sigbus
    a.time += b.time
  }
}

/// Seven steps of a logarithmic colour scale.
struct ReportScale: Hashable, Sendable {
  static let stepCount = 7
  /// The lowest value of each step, ascending; a scale that ends early repeats nothing.
  let bounds: [UInt64]

  /// Divides what lies between 1 and the greatest value; the page's script does the same.
  init(greatest: UInt64) {
    var bounds: [UInt64] = []
    for step in 0..<Self.stepCount where greatest > 0 {
      let bound = Self.root(greatest, step)
      if bounds.last != bound { bounds.append(bound) }
    }
    self.bounds = bounds
  }

  /// The least whole number that is at least `greatest` to the power of `step` / 7, found without rounding.
  private static func root(_ greatest: UInt64, _ step: Int) -> UInt64 {
    var low: UInt64 = 1
    var high = greatest
    while low < high {
      let middle = low + (high - low) / 2
      if isAtLeast(middle, greatest, step) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// Whether `value` to the power of 7 is at least `greatest` to the power of `step`.
  private static func isAtLeast(_ value: UInt64, _ greatest: UInt64, _ step: Int) -> Bool {
    Double.power(value, stepCount) >= Double.power(greatest, step)
  }

  /// The step of a value, 1 to 7; 0 for nothing. Shorter scales use the strongest colours.
  func step(_ value: UInt64) -> Int {
    guard value > 0 else { return 0 }
    let reached = bounds.count { $0 <= value }
    return reached == 0 ? 0 : Self.stepCount - bounds.count + reached
  }
}

extension Double {
  fileprivate static func power(_ base: UInt64, _ exponent: Int) -> Double {
    (0..<exponent).reduce(1) { product, _ in product * Double(base) }
  }
}
