internal import TraceRecords
internal import XIVEModel

/// The events that a search can list: the latest few of each subject, the latest that cover many.
struct ReportEvents: Sendable {
  /// Events of single subjects that are kept in all.
  static let limit = 16_000
  /// Of one subject at most.
  static let greatestShare = 200
  /// Events that cover several subjects.
  static let runLimit = 1_500

  /// By time of completion.
  let events: [Event]
  /// How many events there were of each kept subject.
  let totals: [ReportSubject: UInt64]
  /// The most events of one subject that are kept.
  let share: Int
  /// How many events cover several subjects.
  let runCount: Int

  /// A record with what it is about.
  struct Event: Sendable {
    let record: TraceRecord
    let subjects: ClosedRange<ReportSubject>
  }

  init(_ records: [TraceRecord], _ map: DeviceMap) {
    var activity: [ReportSubject: Activity] = [:]
    var runs = 0
    for record in records where record.isEvent {
      guard let subjects = record.subjects(map) else { continue }
      if subjects.lowerBound == subjects.upperBound {
        activity[subjects.lowerBound, default: Activity()].add(record)
      } else {
        runs += 1
      }
    }
    runCount = runs
    share = Self.share(activity.values.map(\.events))
    totals = Self.choose(activity, share)
    events = Self.latest(records, map, totals, share)
  }

  private struct Activity {
    var faults: UInt64 = 0
    var events: UInt64 = 0

    mutating func add(_ record: TraceRecord) {
      events += 1
      if record.isTouch { faults += 1 }
    }
  }

  /// The largest share with which all subjects have room, so that what is rare is found too; at least 1.
  private static func share(_ counts: [UInt64]) -> Int {
    var low = 1
    var high = greatestShare
    while low < high {
      let middle = (low + high + 1) / 2
      let kept = counts.reduce(0) { $0 + min(Int($1), middle) }
      if kept <= limit { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The subjects with the most faults, then the most events, as far as there is room for their shares.
  private static func choose(_ activity: [ReportSubject: Activity], _ share: Int)
    -> [ReportSubject: UInt64]
  {
    let ranked = activity.sorted {
      ($1.value.faults, $1.value.events, $0.key) < ($0.value.faults, $0.value.events, $1.key)
    }
    var room = limit
    var chosen: [ReportSubject: UInt64] = [:]
    for (subject, figures) in ranked {
      room -= min(Int(figures.events), share)
      guard room >= 0 else { break }
      chosen[subject] = figures.events
    }
    return chosen
  }

  private static func latest(
    _ records: [TraceRecord], _ map: DeviceMap, _ chosen: [ReportSubject: UInt64], _ share: Int
  ) -> [Event] {
    var left = chosen.mapValues { min(Int($0), share) }
    var runs = runLimit
    var found: [Event] = []
    for record in records.reversed() where record.isEvent {
      guard let subjects = record.subjects(map) else { continue }
      if subjects.lowerBound != subjects.upperBound {
        guard runs > 0 else { continue }
        runs -= 1
      } else {
        guard let rest = left[subjects.lowerBound], rest > 0 else { continue }
        left[subjects.lowerBound] = rest - 1
      }
      found.append(Event(record: record, subjects: subjects))
    }
    return found.reversed()
  }
}
