internal import TraceRecords
internal import XIVEModel

/// Fills, zaps and hot-plug over time, with causes.
struct TimelinePicture {
  let timeline: ReportTimeline
  let map: DeviceMap

  private static let fillHeight = 96
  private static let zapHeight = 34
  private static let markHeight = 14
  private static let labelHeight = 20

  var picture: Picture {
    var y = 0
    var parts: [Markup] = []
    func add(_ part: Markup, _ height: Int) {
      parts.append(part)
      y += height
    }
    let top = Self.labelHeight
    add(
      stack("Fills", "fill", timeline.fills, y, Self.fillHeight),
      Self.labelHeight + Self.fillHeight + 8)
    add(
      stack("Zaps", "zap", timeline.zaps, y, Self.zapHeight), Self.labelHeight + Self.zapHeight + 8)
    for (row, kind) in ReportTimeline.operations.enumerated() {
      add(marks(kind, timeline.rows[row], y), Self.labelHeight + Self.markHeight + 4)
    }
    let axis = TimeAxis(span: timeline.span).drawn(top: top, bottom: y)
    y += TimeAxis.height + 8
    let legend = self.legend(y)
    return Picture(
      title: "Timeline: fills, zaps and hot-plug", height: y + legend.height,
      content: Markup([axis] + parts + [legend.markup]))
  }

  /// Bars of a stack for each bin, and over them what a pointer gets to know.
  private func stack(
    _ name: String, _ noun: String, _ bins: [[UInt64]], _ y: Int, _ height: Int
  ) -> Markup {
    let greatest = ReportTimeline.greatest(bins)
    let top = y + Self.labelHeight
    let total = bins.reduce(0) { $0 + $1.reduce(0, +) }
    let said =
      total == 0
      ? "none in this trace"
      : "\(ReportText.number(total)); the fullest bin has \(ReportText.number(greatest))"
    return Markup([
      Canvas.text(name, x: "0", y: y + 12, "b"),
      Canvas.text(said, x: "100%", y: y + 12, "m", anchor: "end"),
      Canvas.line("g", from: ("0", top + height), to: ("100%", top + height)),
      Canvas.strip(
        y: top, height: height, columns: ReportSpan.binCount, bars(bins, greatest, height)),
      Markup(bins.indices.map { title(noun, bins[$0], $0, top, height) }),
    ])
  }

  private func bars(_ bins: [[UInt64]], _ greatest: UInt64, _ height: Int)
    -> [(style: String, path: String)]
  {
    var paths = ReportOrigin.allCases.map { (style: "o\($0.rawValue)", path: "") }
    for (bin, counts) in bins.enumerated() {
      var below: UInt64 = 0
      for (origin, count) in counts.enumerated() where count > 0 {
        let start = Self.scaled(below, greatest, height)
        // What there is at all is seen.
        let end = max(Self.scaled(below + count, greatest, height), start + 1)
        paths[origin].path += Canvas.bar(bin, top: height - end, height: end - start)
        below += count
      }
    }
    return paths
  }

  private static func scaled(_ count: UInt64, _ greatest: UInt64, _ height: Int) -> Int {
    Int((Double(count) * Double(height) / Double(max(greatest, 1))).rounded())
  }

  private func title(_ noun: String, _ counts: [UInt64], _ bin: Int, _ y: Int, _ height: Int)
    -> Markup
  {
    let total = counts.reduce(0, +)
    guard total > 0 else { return .none }
    let parts = ReportOrigin.allCases.filter { counts[Int($0.rawValue)] > 0 }
      .map { "\(ReportText.number(counts[Int($0.rawValue)])) \($0.name)" }
    return Canvas.rectangle(
      "z", x: Canvas.share(bin, of: ReportSpan.binCount), y: y, width: "0.5%", height: height,
      title: "\(when(bin)): \(ReportText.count(total, noun)): \(parts.joined(separator: ", "))")
  }

  private func when(_ bin: Int) -> String {
    "from \(ReportText.duration(timeline.span.start(ofBin: bin))) on"
  }

  private func marks(_ kind: TraceKind, _ marks: [ReportTimeline.Mark], _ y: Int) -> Markup {
    let total = marks.reduce(0) { $0 + $1.count }
    let top = y + Self.labelHeight
    let drawn = marks.indices.filter { marks[$0].count > 0 }.map { bin in
      Canvas.rectangle(
        "k", x: Canvas.share(bin, of: ReportSpan.binCount), y: top, width: "0.35%",
        height: Self.markHeight, title: title(kind, marks[bin], bin))
    }
    return Markup(
      [
        Canvas.text(kind.name, x: "0", y: y + 14, "b"),
        Canvas.text(
          total == 0 ? "none in this trace" : ReportText.number(total), x: "100%", y: y + 14, "m",
          anchor: "end"),
        Canvas.line("g", from: ("0", top + Self.markHeight), to: ("100%", top + Self.markHeight)),
      ] + drawn)
  }

  private func title(_ kind: TraceKind, _ mark: ReportTimeline.Mark, _ bin: Int) -> String {
    let place = mark.first.map { $0.place(map) } ?? ""
    let more = mark.count > 1 ? " and \(ReportText.number(mark.count - 1)) more" : ""
    return "\(when(bin)): \(kind.name) \(place)\(more)"
  }

  private func legend(_ y: Int) -> (markup: Markup, height: Int) {
    let origins = Set(
      ReportTimeline.occurring(timeline.fills) + ReportTimeline.occurring(timeline.zaps))
    let entries = ReportOrigin.allCases.filter(origins.contains).enumerated().map { place, origin in
      Canvas.legend(
        "o\(origin.rawValue)", origin.name, x: Canvas.share(place % 4, of: 4),
        y: y + 12 + place / 4 * 20)
    }
    return (Markup(entries), (entries.count + 3) / 4 * 20 + 4)
  }
}
