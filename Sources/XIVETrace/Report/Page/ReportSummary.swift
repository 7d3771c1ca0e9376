internal import TraceRecords

/// The first thing that a reader sees: the figures that matter, and what they say.
struct ReportSummary {
  let analysis: ReportAnalysis

  var markup: Markup {
    let tables = ReportTables(analysis: analysis)
    return .element(
      "section", ["aria-labelledby": "summary"],
      .leaf("h2", ["id": "summary"], "Summary"),
      lost,
      .leaf("p", ["class": "lead"], lead),
      .element("ul", ["class": "tiles"], tiles.map(Self.tile)),
      .element("div", ["class": "pair"], tables.causes.markup, tables.hottest.markup))
  }

  private var lost: Markup {
    guard analysis.totals.lost > 0 else { return .none }
    let text =
      "\(ReportText.count(analysis.totals.lost, "record")) lost: overwritten before anybody read "
      + "them. Every figure here leaves them out."
    return .leaf("p", ["class": "warning", "role": "note"], text)
  }

  /// What the figures say, in a sentence or two.
  private var lead: String {
    let counts = analysis.totals.counts
    guard counts.faults > 0 else { return "Nobody touched a page in this trace." }
    let share = ReportText.percent(counts.refaults, of: counts.faults)
    var sentences = [
      "\(share) of \(ReportText.count(counts.faults, "fault")) were of pages that had been filled before."
    ]
    let refaults = analysis.totals.byCause.filter { $0.key.isRefault }
    if let most = refaults.max(by: {
      ($0.value.count, $1.key.rawValue) < ($1.value.count, $0.key.rawValue)
    }) {
      sentences.append(
        "The most common reason to fault again was \(most.key.name) "
          + "(\(ReportText.number(most.value.count))).")
    }
    if counts.sigbus > 0 {
      sentences.append(
        "\(ReportText.count(counts.sigbus, "fault")) ended with SIGBUS.")
    }
    return sentences.joined(separator: " ")
  }

  private typealias Tile = (name: String, value: String, note: String)

  private var tiles: [Tile] {
    let totals = analysis.totals
    let fills = analysis.latencies.first { $0.sort == .fill }
    let zapped = ReportText.bytes(totals.zappedBytes)
    return [
      (
        "Faults", ReportText.number(totals.counts.faults),
        "\(ReportText.number(analysis.pages.figures.count)) different pages"
      ),
      (
        "Refaults", ReportText.number(totals.counts.refaults),
        "\(ReportText.percent(totals.counts.refaults, of: totals.counts.faults)) of faults"
      ),
      ("SIGBUS", ReportText.number(totals.counts.sigbus), "the kernel asks twice, counted once"),
      (
        "Median fault", fills?.percentile(500).map(ReportText.duration) ?? "-",
        "p99 \(fills?.percentile(990).map(ReportText.duration) ?? "-")"
      ),
      (
        "Time in faults", ReportText.duration(totals.counts.time),
        "queue and service of all threads"
      ),
      ("Zaps", ReportText.number(totals.count(.zap)), "\(zapped) dropped"),
      (
        "Hot-plug", ReportText.number(totals.count(.plug, .map, .unmap, .unplug, .fence)),
        "\(ReportText.number(totals.count(.map))) maps, \(ReportText.number(totals.count(.unmap))) unmaps"
      ),
      (
        "Exact accesses", ReportText.number(totals.count(.load, .store)),
        "\(ReportText.number(totals.count(.writeBack))) stores through mappings"
      ),
    ]
  }

  private static func tile(_ tile: Tile) -> Markup {
    .element(
      "li", [:], .leaf("span", ["class": "name"], tile.name), .leaf("strong", [:], tile.value),
      .leaf("span", ["class": "note"], tile.note))
  }
}
