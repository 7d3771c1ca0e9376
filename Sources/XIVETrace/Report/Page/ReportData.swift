internal import TraceRecords
internal import XIVEModel

/// What the page's script knows: figures, never all records.
struct ReportData {
  /// The most pages whose own figures are in the page.
  static let pageLimit = 5_000
  /// The most runs of an area that are told apart.
  private static let runLimit = 2_000

  let analysis: ReportAnalysis

  var json: ReportJSON {
    let pages = analysis.pages.hottest(Self.pageLimit)
    let backings = Array(Set(pages.map(\.value.backing))).sorted()
    let threads = Array(Set(analysis.events.events.map(\.record.threadID))).sorted()
    return .object([
      ("columns", .number(UInt64(MapPicture.columns))),
      ("measures", .texts(ReportMeasure.allCases.map(\.name))),
      ("measureNouns", .texts(ReportMeasure.allCases.map(\.noun))),
      ("origins", .texts(ReportOrigin.allCases.map(\.name))),
      ("nouns", .texts(ReportSubject.Class.allCases.map(Self.noun))),
      ("halves", .list(ReportSubject.Class.allCases.map { .texts(ReportSubject.halves($0)) })),
      ("areas", .list(analysis.areas.drawn.map(Self.area))),
      ("backings", .texts(backings)),
      ("pages", .list(pages.map { Self.page($0.key, $0.value, backings) })),
      ("pagesTouched", .number(UInt64(analysis.pages.figures.count))),
      ("threads", .texts(threads.map(analysis.consumers.name))),
      ("events", .list(analysis.events.events.map { event($0, threads) })),
      ("totals", totals),
      ("runs", .number(UInt64(analysis.events.runCount))),
    ])
  }

  private static func noun(_ sort: ReportSubject.Class) -> String {
    switch sort {
    case .source: "LISN"
    case .phb: "interrupt"
    case .end: "END"
    case .server, .connected: "server"
    }
  }

  private static func area(_ area: ReportArea) -> ReportJSON {
    .object([
      ("name", .text(area.name)),
      ("sort", .number(UInt64(area.sort.rawValue))),
      ("first", .number(UInt64(area.numbers.lowerBound))),
      ("last", .number(UInt64(area.numbers.upperBound))),
      ("size", .number(UInt64(area.cellSize))),
      (
        "exist", .list(runs(area).map { .numbers([UInt64($0.lowerBound), UInt64($0.upperBound)]) })
      ),
      ("cells", .list(area.cells.enumerated().compactMap(cell))),
    ])
  }

  /// Runs that lie in one cell count as one where there are too many.
  private static func runs(_ area: ReportArea) -> [ClosedRange<UInt32>] {
    guard area.existing.count > runLimit else { return area.existing }
    return area.existing.reduce(into: []) { runs, run in
      if let last = runs.last, run.lowerBound - last.upperBound < area.cellSize {
        runs[runs.count - 1] = last.lowerBound...run.upperBound
      } else {
        runs.append(run)
      }
    }
  }

  private static func cell(_ place: Int, _ counts: ReportCounts) -> ReportJSON? {
    guard counts != ReportCounts() else { return nil }
    return .numbers([UInt64(place)] + ReportMeasure.allCases.map { counts[$0] })
  }

  private static func page(
    _ key: ReportPageKey, _ figures: ReportPages.Figures, _ backings: [String]
  ) -> ReportJSON {
    let head = [UInt64(key.subject.sort.rawValue), UInt64(key.subject.number), UInt64(key.half)]
    let counts = ReportMeasure.allCases.map { figures.counts[$0] }
    let backing = UInt64(backings.firstIndex(of: figures.backing) ?? 0)
    return .list(
      (head + counts).map { .number($0) } + [
        .numbers(figures.origins), .number(backing), .number(UInt64(figures.generation)),
      ])
  }

  private func event(_ event: ReportEvents.Event, _ threads: [UInt32]) -> ReportJSON {
    let record = event.record
    let thread = threads.firstIndex(of: record.threadID) ?? 0
    let numbers = [
      record.time - min(analysis.span.start, record.time),
      UInt64(event.subjects.lowerBound.sort.rawValue),
      UInt64(event.subjects.lowerBound.number), UInt64(event.subjects.upperBound.number),
      UInt64(record.half), UInt64(thread), UInt64(record.queueTime), UInt64(record.serviceTime),
      record.hardware.map { UInt64(ReportSubject.number($0.phb, $0.irq)) + 1 } ?? 0,
    ]
    let texts = [record.kind?.name ?? "", record.outcome, record.causeText, record.detail]
    return .list(numbers.map { .number($0) } + texts.map { .text($0) })
  }

  /// How many events there were of each subject of which some are left out.
  private var totals: ReportJSON {
    let cut = analysis.events.totals.filter { $0.value > UInt64(analysis.events.share) }
      .sorted { $0.key < $1.key }
    return .object(
      cut.map { ("\($0.key.sort.rawValue):\($0.key.number)", .number($0.value)) })
  }
}

extension TraceRecord {
  /// What became of it, in a word.
  var outcome: String { isSIGBUS ? "SIGBUS: \(result.name)" : result.name }

  /// Why; empty where there is no reason.
  var causeText: String { cause == .none ? "" : cause.name }

  /// The rest that is worth telling: values, states, what serves it now.
  var detail: String {
    let states = pq.map { "PQ \($0.before) → \($0.after)" }
    switch kind {
    case .load, .store, .writeBack:
      return ["0x" + String(value, radix: 16), states].compactMap { $0 }.joined(separator: ", ")
    case .fill: return hardware == nil ? "" : "from \(backingText)"
    case .zap, .update: return ReportText.bytes(value)
    case .publish, .map:
      return hardware.map { "to PHB \($0.phb) from interrupt \($0.irq) on" } ?? ""
    default: return states ?? ""
    }
  }
}
