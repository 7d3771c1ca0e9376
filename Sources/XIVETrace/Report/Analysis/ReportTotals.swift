internal import TraceRecords

/// What happened, all together.
struct ReportTotals: Hashable, Sendable {
  var counts = ReportCounts()
  /// Faults by cause, successful ones; in the order of the record format.
  var byCause: [TraceCause: Line] = [:]
  /// Faults that ended with SIGBUS, by reason.
  var byAbsence: [TraceResult: Line] = [:]
  /// Records by kind.
  var byKind: [TraceKind: UInt64] = [:]
  /// Records that were overwritten before they were read.
  var lost: UInt64 = 0
  /// Multi-page fills that were refused, after which the kernel asked for a page alone.
  var refusedRanges: UInt64 = 0
  /// Bytes that were filled without a touch, and that were dropped.
  var prefaultedBytes: UInt64 = 0
  var zappedBytes: UInt64 = 0
  /// Records that nothing here knows.
  var unknown: UInt64 = 0

  /// How often, and how long all of them took in nanoseconds.
  struct Line: Hashable, Sendable {
    var count: UInt64 = 0
    var time: UInt64 = 0

    mutating func add(_ record: TraceRecord) {
      count += 1
      time += record.duration
    }
  }

  mutating func add(_ record: TraceRecord) {
    guard let kind = record.kind else {
      unknown += 1
      return
    }
    byKind[kind, default: 0] += 1
    switch kind {
    case .gap: lost.addSaturating(record.value)
    case .zap: zappedBytes.addSaturating(record.value)
    case .fill: addFill(record)
    default: break
    }
  }

  private mutating func addFill(_ record: TraceRecord) {
    if record.isRefusedRange { refusedRanges += 1 }
    if record.isPrefault { prefaultedBytes.addSaturating(record.value) }
    guard record.isTouch else { return }
    counts += record.faultCounts
    if record.result == .ok {
      byCause[record.cause, default: Line()].add(record)
    } else {
      byAbsence[record.result, default: Line()].add(record)
    }
  }

  /// Records that are events, lost ones not counted.
  var eventCount: UInt64 {
    byKind.reduce(0) { $1.key == .task || $1.key == .gap ? $0 : $0 + $1.value }
  }

  /// The number of records of some kinds.
  func count(_ kinds: TraceKind...) -> UInt64 { kinds.reduce(0) { $0 + byKind[$1, default: 0] } }
}

extension TraceRecord {
  /// What one fault adds to the figures.
  var faultCounts: ReportCounts {
    ReportCounts(
      faults: 1, refaults: result == .ok && cause.isRefault ? 1 : 0, sigbus: result == .ok ? 0 : 1,
      time: duration)
  }
}
