internal import TraceRecords
internal import XIVEModel

/// Figures of every page that was touched.
struct ReportPages: Sendable {
  /// By page.
  private(set) var figures: [ReportPageKey: Figures] = [:]
  /// Faults where the layout has no page.
  private(set) var outside = ReportCounts()

  /// More pages than the kernel asks for at once: what claims more comes from a damaged file.
  private static let pageLimit = 4_096

  /// What is known of a page.
  struct Figures: Hashable, Sendable {
    var counts = ReportCounts()
    /// By ``ReportOrigin``.
    var origins = [UInt64](repeating: 0, count: ReportOrigin.allCases.count)
    /// What served it last; empty when nothing ever did.
    var backing = ""
    var generation: UInt32 = 0
  }

  /// Counts a fault for each page that it filled; they share its time.
  mutating func add(_ record: TraceRecord, _ map: DeviceMap) {
    guard record.isTouch else { return }
    guard let pages = record.pages(map), pages.count <= Self.pageLimit else {
      outside += record.faultCounts
      return
    }
    let count = UInt64(pages.count)
    let share = record.duration / count
    for page in pages {
      var counts = record.faultCounts
      counts.time = page == pages.lowerBound ? record.duration - share * (count - 1) : share
      add(counts, record, at: map.target(at: page << map.pageShift), page == pages.lowerBound)
    }
  }

  private mutating func add(
    _ counts: ReportCounts, _ record: TraceRecord, at page: PageTarget?, _ isFirst: Bool
  ) {
    guard let page else {
      outside += counts
      return
    }
    let key = ReportPageKey(page)
    figures[key, default: Figures()].counts += counts
    if let origin = ReportOrigin(record) {
      figures[key, default: Figures()].origins[Int(origin.rawValue)] += 1
    }
    // Backing and generation of a record are the first page's.
    guard isFirst, record.result == .ok else { return }
    figures[key, default: Figures()].backing = record.backingText
    figures[key, default: Figures()].generation = record.generation
  }

  /// The pages with the most faults, then the most time; sorted by page.
  func hottest(_ limit: Int) -> [(key: ReportPageKey, value: Figures)] {
    let ranked = figures.sorted {
      let (a, b) = ($0.value.counts, $1.value.counts)
      return (b.faults, b.time, $0.key) < (a.faults, a.time, $1.key)
    }
    return ranked.prefix(limit).sorted { $0.key < $1.key }
  }
}

extension TraceRecord {
  /// What served it, for people.
  var backingText: String {
    switch backing {
    case .ipi: "its own page"
    case .phb: hardware.map { "PHB \($0.phb) interrupt \($0.irq)" } ?? "a PHB"
    case .tima: "a TIMA"
    case .end: "an END"
    case nil: ""
    }
  }
}
