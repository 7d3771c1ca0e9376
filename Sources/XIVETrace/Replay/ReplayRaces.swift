internal import TraceRecords

/// Which fills and write-backs met a change of what their page shows, so that what they got depended on the moment.
///
/// A replay does one thing after the other: there is nothing to compare these with.
struct ReplayRaces {
  /// A request that changes what pages show, while it went on.
  private struct Change {
    let time: ClosedRange<UInt64>
    let lisns: ClosedRange<UInt64>?
    let phb: UInt16?
    /// Whether it changes more than PQ.
    let isControl: Bool
  }

  private var changes: [Change] = []
  private var longest: UInt64 = 0

  /// Collects the requests that change something.
  init(_ groups: [ReplayGroups.Group]) {
    for group in groups where group.request.kind != .fill {
      let first = group.records.lazy.map(\.time).min() ?? group.request.time
      let last = max(group.records.lazy.map(\.end).max() ?? 0, group.prefault ?? 0)
      for record in group.records {
        guard record.number != nil || record.hardware != nil else { continue }
        changes.append(
          Change(
            time: first...max(first, last), lisns: record.lisns, phb: record.hardware?.phb,
            isControl: group.request.isControl))
      }
      longest = max(longest, last - min(first, last))
    }
    changes.sort { $0.time.lowerBound < $1.time.lowerBound }
  }

  /// Whether a fill overlaps with a change of its source, or of its PHB; a write-back with one of what serves it.
  func contain(_ fill: TraceRecord) -> Bool {
    guard fill.kind == .fill || fill.kind == .writeBack else { return false }
    let start = fill.time - min(longest, fill.time)
    return changes[index(from: start)...].lazy.prefix { $0.time.lowerBound <= fill.end }
      .contains { change in
        guard change.time.upperBound >= fill.time, change.isControl || fill.kind == .fill else {
          return false
        }
        // Why there is no page does not tell whose it would be.
        if change.isControl, fill.result != .ok { return true }
        let isSource = fill.number.flatMap { change.lisns?.contains(UInt64($0)) } ?? false
        return isSource || fill.hardware.map { $0.phb == change.phb } ?? false
      }
  }

  /// The first change that began at a time or later.
  private func index(from time: UInt64) -> Int {
    var range = changes.startIndex..<changes.endIndex
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if changes[middle].time.lowerBound < time {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return range.lowerBound
  }
}

extension TraceRecord {
  fileprivate var isControl: Bool {
    switch kind {
    case .attribute, .map, .unmap, .plug, .unplug: true
    default: false
    }
  }

  /// The sources that it is about.
  fileprivate var lisns: ClosedRange<UInt64>? {
    guard let number else { return nil }
    let isRun = kind == .publish || kind == .map || kind == .unmap
    let count = isRun ? max(1, min(value, 1 << 32)) : 1
    return UInt64(number)...UInt64(number) + count - 1
  }
}
