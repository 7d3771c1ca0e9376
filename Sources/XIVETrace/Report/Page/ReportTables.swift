internal import TraceRecords
internal import XIVEModel

/// The tables of a report: what can be read without a script, and by whom pictures do not serve.
struct ReportTables {
  let analysis: ReportAnalysis

  private typealias Cell = ReportTable.Cell

  /// Faults by cause, and SIGBUS by reason.
  var causes: ReportTable {
    let totals = analysis.totals
    let faults = TraceCause.allCases.compactMap { cause in
      totals.byCause[cause].map { (cause == .none ? "not told" : cause.name, $0) }
    }
    let absences = totals.byAbsence.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { ("SIGBUS: \($0.key.name)", $0.value) }
    return ReportTable(
      caption: "Faults by cause",
      columns: [.text("cause"), .figure("faults"), .figure("share"), .figure("mean µs")],
      rows: (faults + absences).map { name, line in
        [
          Cell(name), Cell(ReportText.number(line.count)),
          Cell(ReportText.percent(line.count, of: totals.counts.faults)),
          Cell(ReportText.microseconds(line.time / max(line.count, 1))),
        ]
      }, empty: "No faults in this trace.")
  }

  /// The sources, and what else has pages, with the most faults.
  var hottest: ReportTable {
    var subjects: [ReportSubject: ReportCounts] = [:]
    for (page, figures) in analysis.pages.figures {
      subjects[page.subject, default: ReportCounts()] += figures.counts
    }
    let ranked = subjects.sorted {
      ($1.value.faults, $1.value.time, $0.key) < ($0.value.faults, $0.value.time, $1.key)
    }
    return ReportTable(
      caption: "Most faults",
      columns: [.text("pages of"), .text("use")] + Self.figures,
      rows: ranked.prefix(10).map { subject, counts in
        [Cell(subject.name, target: subject.name), Cell(Self.use(subject))] + Self.cells(counts)
      }, empty: "No page was touched.")
  }

  private static func use(_ subject: ReportSubject) -> String {
    switch subject.sort {
    case .source: NumberSpace(LISN(rawValue: subject.number)).rawValue
    case .phb: "PHB \(subject.number >> 16)"
    case .end: "END"
    case .server, .connected: "TIMA"
    }
  }

  /// The map in figures.
  var areas: ReportTable {
    let rows = analysis.areas.drawn.map { area in
      [Cell(area.name), Cell(ReportSubject.text(area.sort, area.numbers))]
        + Self.cells(area.counts)
    }
    let outside = analysis.pages.outside
    let rest =
      outside.faults == 0 ? [] : [["elsewhere", "no page of the layout"] + Self.cells(outside)]
    return ReportTable(
      caption: "The map in figures: pages filled",
      columns: [.text("area"), .text("numbers")] + Self.figures,
      rows: rows + rest, empty: "No page existed, and none was touched.")
  }

  private static let figures: [ReportTable.Column] = [
    .figure("faults"), .figure("refaults"), .figure("SIGBUS"), .figure("time, ms"),
  ]

  private static func cells(_ counts: ReportCounts) -> [Cell] {
    [counts.faults, counts.refaults, counts.sigbus].map { Cell(ReportText.number($0)) }
      + [Cell(ReportText.milliseconds(counts.time))]
  }

  /// Percentiles.
  var latencies: ReportTable {
    ReportTable(
      caption: "Latencies in µs",
      columns: [
        .text("what"), .figure("count"), .figure("p50"), .figure("p90"), .figure("p99"),
        .figure("p99.9"), .figure("slowest"),
      ],
      rows: analysis.latencies.filter { !$0.values.isEmpty }.map { latency in
        [Cell(latency.sort.name), Cell(ReportText.number(latency.values.count))]
          + (ReportLatency.marked + [1_000]).map { thousandths in
            Cell(latency.percentile(thousandths).map(ReportText.microseconds) ?? "-")
          }
      }, empty: "Nothing in this trace took time.")
  }

  /// The threads that have lanes.
  var consumers: ReportTable {
    ReportTable(
      caption: "Consumers' threads",
      columns: [.text("thread"), .figure("process")] + Self.figures + [.figure("exact")],
      rows: analysis.consumers.lanes.map { lane in
        [Cell(analysis.consumers.name(lane.threadID)), Cell("\(lane.processID)")]
          + Self.cells(lane.counts) + [Cell(ReportText.number(lane.accesses))]
      }, empty: "No consumer touched the device in this trace.")
  }

  /// What happened how often.
  var kinds: ReportTable {
    ReportTable(
      caption: "Records by kind", columns: [.text("kind"), .figure("records")],
      rows: TraceKind.allCases.compactMap { kind in
        analysis.totals.byKind[kind].map { [Cell(kind.name), Cell(ReportText.number($0))] }
      }, empty: "No records.")
  }

  /// The events that took longest.
  var slowest: ReportTable {
    ReportTable(
      caption: "Slowest events",
      columns: [
        .figure("#"), .figure("at, s"), .text("event"), .text("what"), .text("thread"),
        .text("result"),
        .text("cause"), .figure("queue µs"), .figure("service µs"), .figure("total µs"),
      ],
      rows: analysis.slowest.enumerated().map { place, record in slow(place + 1, record) },
      empty: "Nothing in this trace took time.")
  }

  private func slow(_ rank: Int, _ record: TraceRecord) -> [Cell] {
    let map = analysis.device.map
    let target = record.subjects(map).map { $0.lowerBound.name }
    return [
      Cell("\(rank)"), Cell(ReportText.seconds(record.time - analysis.span.start)),
      Cell(record.kind?.name ?? ""), Cell(record.place(map), target: target),
      Cell(analysis.consumers.name(record.threadID)), Cell(record.outcome), Cell(record.causeText),
      Cell(ReportText.microseconds(UInt64(record.queueTime))),
      Cell(ReportText.microseconds(UInt64(record.serviceTime))),
      Cell(ReportText.microseconds(record.duration)),
    ]
  }
}
