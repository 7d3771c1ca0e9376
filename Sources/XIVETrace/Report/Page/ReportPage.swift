internal import TraceRecords

/// The page: pictures and tables that need no script, and the script that zooms, searches and switches.
struct ReportPage {
  let analysis: ReportAnalysis
  let pictures: ReportPictures

  var html: String {
    let root = Markup.element("html", ["lang": "en"], head, body)
    return "<!DOCTYPE html>\n" + root.source + "\n"
  }

  private var head: Markup {
    // Nothing is loaded from anywhere; the browser is told not to, whatever a record holds.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return .element(
      "head", [:],
      .void("meta", ["charset": "utf-8"]),
      .leaf("title", [:], pictures.heading),
      .void("meta", ["http-equiv": "Content-Security-Policy", "content": policy]),
      .void("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
      .void("meta", ["name": "color-scheme", "content": "light dark"]),
      .element("style", [:], [.verbatim(ReportResources.style)]))
  }

  private var body: Markup {
    let tables = ReportTables(analysis: analysis)
    return .element(
      "body", [:],
      .leaf("a", ["class": "skip", "href": "#main"], "Skip to the summary"),
      header,
      .element(
        "main", ["id": "main"],
        ReportSummary(analysis: analysis).markup,
        section(
          "map", "Device map", Self.mapHelp,
          [
            ReportControls.measures, pictures.map.inline(id: "map-picture"), ReportControls.zoom,
            Self.details("The map in figures", tables.areas),
          ]),
        section(
          "timeline", "Timeline", Self.timelineHelp,
          [
            pictures.timeline.inline(id: "timeline-picture"),
            Self.details("Records by kind", tables.kinds),
          ]),
        section(
          "latency", "Latency", Self.latencyHelp,
          [
            pictures.latency.inline(id: "latency-picture"), tables.latencies.markup,
          ]),
        section(
          "consumers", "Consumers", consumersHelp,
          [
            pictures.consumers.inline(id: "consumers-picture"),
            Self.details("Threads in figures", tables.consumers),
          ]),
        section("slowest", "Slowest events", slowestHelp, [tables.slowest.markup]),
        ReportAbout(analysis: analysis).markup),
      .element(
        "script", ["type": "application/json", "id": "data"],
        [.verbatim(ReportData(analysis: analysis).json.source)]),
      .element("script", [:], [.verbatim(ReportResources.script)]))
  }

  private var header: Markup {
    let start = analysis.device.start
    let realtime = start.realtime &+ (analysis.span.start &- start.monotonic)
    let facts = [
      ReportText.date(realtime), ReportText.duration(analysis.span.duration),
      ReportText.count(analysis.totals.eventCount, "event"),
      ReportText.count(UInt64(analysis.consumers.count), "thread"),
    ]
    return .element(
      "header", [:],
      .element(
        "div", ["class": "title"],
        .element("h1", [:], .text("Page faults of "), .leaf("code", [:], analysis.device.path)),
        .leaf("p", ["class": "meta"], facts.joined(separator: " · "))),
      ReportControls.search, ReportControls.answer)
  }

  private func section(_ id: String, _ name: String, _ help: String, _ content: [Markup]) -> Markup
  {
    .element(
      "section", ["aria-labelledby": id],
      [.leaf("h2", ["id": id], name), .leaf("p", ["class": "help"], help)] + content)
  }

  private static func details(_ name: String, _ table: ReportTable) -> Markup {
    .element("details", [:], .leaf("summary", [:], name), table.markup)
  }

  private static let mapHelp =
    "Each cell is a run of numbers. A fill of several pages counts once for each of them, and they share its time."
  private static let timelineHelp =
    "Fills and zaps by what caused them; below, what hot-plug did. Zaps have the colour of the refaults that follow."
  private static let latencyHelp =
    "From the moment at which something began to its end, waiting included. One logarithmic axis for all."

  private var consumersHelp: String {
    let rest = analysis.consumers.count - analysis.consumers.lanes.count
    return "What each thread touched when."
      + (rest > 0
        ? " The \(ReportConsumers.limit) busiest; \(ReportText.count(UInt64(rest), "thread")) more left out."
        : "")
  }

  private var slowestHelp: String {
    analysis.slowest.count == ReportSlowest.limit
      ? "The \(ReportSlowest.limit) that took longest, from beginning to end."
      : "All that took time, the longest first."
  }
}
