internal import TraceRecords

/// How long things of one sort took: a histogram of logarithmic bins, and percentiles that are exact.
struct ReportLatency: Sendable {
  /// What is measured.
  enum Sort: String, Hashable, Sendable, CaseIterable {
    case fill, exact, zap

    init?(_ record: TraceRecord) {
      switch record.kind {
      case .fill where record.isTouch: self = .fill
      case .load, .store: self = .exact
      case .zap: self = .zap
      default: return nil
      }
    }

    /// What a heading calls it.
    var name: String {
      switch self {
      case .fill: "Page faults"
      case .exact: "Exact loads and stores"
      case .zap: "Zaps"
      }
    }
  }

  /// The percentiles that are marked, in thousandths.
  static let marked = [500, 900, 990, 999]

  let sort: Sort
  /// Ascending, in nanoseconds.
  private(set) var values: [UInt64] = []

  init(_ sort: Sort) { self.sort = sort }

  mutating func add(_ nanoseconds: UInt64) { values.append(nanoseconds) }

  mutating func finish() { values.sort() }

  /// The smallest value that at least so many thousandths of all values do not exceed; nil without values.
  func percentile(_ thousandths: Int) -> UInt64? {
    guard !values.isEmpty else { return nil }
    let rank = (values.count * thousandths + 999) / 1_000
    return values[max(rank, 1) - 1]
  }

  /// Four bins for each doubling.
  static func bin(_ nanoseconds: UInt64) -> Int {
    guard nanoseconds >= 4 else { return Int(nanoseconds) }
    let doubling = 63 - nanoseconds.leadingZeroBitCount
    return (doubling - 1) * 4 + Int(nanoseconds >> UInt64(doubling - 2) & 3)
  }

  /// The least value of a bin, in nanoseconds.
  static func lowerBound(_ bin: Int) -> UInt64 {
    guard bin >= 4 else { return UInt64(bin) }
    return UInt64(4 + bin % 4) << UInt64(bin / 4 - 1)
  }

  /// The counts of the bins that are not empty.
  var bins: [Int: UInt64] {
    values.reduce(into: [:]) { $0[Self.bin($1), default: 0] += 1 }
  }
}
