internal import TraceRecords

/// How the page was made: what was counted how, and what was left out.
struct ReportAbout {
  let analysis: ReportAnalysis

  var markup: Markup {
    .element(
      "section", ["aria-labelledby": "about"],
      .leaf("h2", ["id": "about"], "What is in this page"),
      .element("ul", ["class": "about"], facts.map { .leaf("li", [:], $0) }),
      .element("ul", ["class": "keys scripted"], Self.keys.map(Self.key)))
  }

  private var facts: [String] {
    let totals = analysis.totals
    let pages = analysis.pages.figures.count
    let events = analysis.events
    var facts = [
      "Counted from \(ReportText.count(totals.eventCount, "event")). Records themselves are not in the page.",
      "Figures of single pages: "
        + (pages > ReportData.pageLimit
          ? "the \(ReportText.number(ReportData.pageLimit)) hottest of \(ReportText.number(pages)); all count in the map's cells."
          : "all \(ReportText.number(pages))."),
      "Events that a search lists: the latest \(ReportText.number(events.share)) of each of "
        + "\(ReportText.count(UInt64(events.totals.count), "subject")); of \(ReportText.number(events.runCount)) "
        + "that cover several, the latest \(ReportText.number(ReportEvents.runLimit)).",
      "Times are divided into \(ReportSpan.binCount) bins of \(ReportText.duration(analysis.span.binWidth)).",
    ]
    if totals.refusedRanges > 0 {
      facts.append(
        "\(ReportText.count(totals.refusedRanges, "fill")) of several pages refused, after which the kernel asked "
          + "for the touched page alone: no faults of their own.")
    }
    if totals.byKind[.fill] != nil {
      facts.append("The kernel asks twice before it raises SIGBUS; it is counted once.")
    }
    if totals.prefaultedBytes > 0 {
      facts.append(
        "\(ReportText.bytes(totals.prefaultedBytes)) filled by the server itself; no faults, in the timeline only."
      )
    }
    if totals.unknown > 0 {
      facts.append(
        "\(ReportText.count(totals.unknown, "record")) of a kind that this version does not know.")
    }
    if analysis.areas.leftOut > 0 {
      facts.append(
        "The map shows the \(ReportAreas.limit) areas with the most faults; "
          + "\(ReportText.number(analysis.areas.leftOut)) more left out.")
    }
    return facts
  }

  private static let keys = [
    ("/", "search"), ("Arrow keys", "move in the map"), ("Enter", "zoom in"), ("Escape", "go back"),
  ]

  private static func key(_ key: (String, String)) -> Markup {
    .element("li", [:], .leaf("kbd", [:], key.0), .text(" \(key.1)"))
  }
}
