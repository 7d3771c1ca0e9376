/// Histograms of latencies on one logarithmic axis, percentiles marked.
struct LatencyPicture {
  let latencies: [ReportLatency]

  private static let plotHeight = 84
  private static let headHeight = 42

  /// The bins that are shown: all that hold anything, widened to whole doublings.
  private var bins: Range<Int> {
    let used = latencies.flatMap { $0.bins.keys }
    guard let first = used.min(), let last = used.max() else { return 28..<72 }
    return first / 4 * 4..<(last / 4 + 1) * 4
  }

  var picture: Picture {
    let bins = self.bins
    let step = Self.headHeight + Self.plotHeight + 14
    let bottom = latencies.count * step
    let plots = latencies.enumerated().map { place, latency in
      plot(latency, bins, place * step)
    }
    return Picture(
      title: "Latency histograms", height: bottom + 40,
      content: Markup(axis(bins, bottom: bottom) + plots + [legend(bottom + 24)]))
  }

  private func plot(_ latency: ReportLatency, _ bins: Range<Int>, _ y: Int) -> Markup {
    let counts = latency.bins
    let greatest = counts.values.max() ?? 0
    let top = y + Self.headHeight
    let bars = counts.sorted { $0.key < $1.key }.map { bin, count in
      bar(bin, count, greatest, bins, top)
    }
    return Markup(
      [
        Canvas.text(latency.sort.name, x: "0", y: y + 14, "b"),
        Canvas.text(Self.summary(latency), x: "100%", y: y + 14, "m", anchor: "end"),
        Canvas.line("g", from: ("0", top + Self.plotHeight), to: ("100%", top + Self.plotHeight)),
      ] + bars + marks(latency, bins, top))
  }

  private static func summary(_ latency: ReportLatency) -> String {
    guard !latency.values.isEmpty else { return "none in this trace" }
    let figures = ReportLatency.marked.compactMap { thousandths in
      latency.percentile(thousandths).map { "\(name(thousandths)) \(ReportText.duration($0))" }
    }
    return "\(ReportText.number(latency.values.count)) · \(figures.joined(separator: " · "))"
  }

  private static func name(_ thousandths: Int) -> String {
    thousandths % 10 == 0 ? "p\(thousandths / 10)" : "p\(thousandths / 10).\(thousandths % 10)"
  }

  private func bar(
    _ bin: Int, _ count: UInt64, _ greatest: UInt64, _ bins: Range<Int>, _ top: Int
  ) -> Markup {
    let height = max(1, Int(Double(count) * Double(Self.plotHeight) / Double(greatest)))
    let bounds = [bin, bin + 1].map { ReportText.duration(ReportLatency.lowerBound($0)) }
    return Canvas.rectangle(
      "o0", x: Canvas.share(bin - bins.lowerBound, of: bins.count),
      y: top + Self.plotHeight - height,
      width: Canvas.share(9, of: bins.count * 10), height: height,
      title: "\(bounds[0]) to \(bounds[1]): \(ReportText.number(count))")
  }

  /// Lines at percentiles; where two would write over each other, the lower one keeps its name.
  private func marks(_ latency: ReportLatency, _ bins: Range<Int>, _ top: Int) -> [Markup] {
    var lastPlace = -1_000_000
    return ReportLatency.marked.compactMap { thousandths in
      guard let value = latency.percentile(thousandths) else { return nil }
      let place = Self.place(value, bins)
      let x = Canvas.share(place, of: 100_000)
      let line = Canvas.line("p", from: (x, top - 4), to: (x, top + Self.plotHeight))
      guard place - lastPlace > 5_000 else { return line }
      lastPlace = place
      let isLate = place > 94_000
      return Markup([
        line,
        Canvas.text(
          Self.name(thousandths), x: x, y: top - 8, "m", anchor: isLate ? "end" : "middle"),
      ])
    }
  }

  /// Where a value stands, in hundred-thousandths of the width; within its bin by its size.
  private static func place(_ value: UInt64, _ bins: Range<Int>) -> Int {
    let bin = ReportLatency.bin(value)
    let low = ReportLatency.lowerBound(bin)
    let within = Double(value - low) / Double(ReportLatency.lowerBound(bin + 1) - low)
    let place = (Double(bin - bins.lowerBound) + within) * 100_000 / Double(bins.count)
    return Int(min(max(place, 0), 100_000))
  }

  /// Lines at powers of ten.
  private func axis(_ bins: Range<Int>, bottom: Int) -> [Markup] {
    let range =
      ReportLatency.lowerBound(bins.lowerBound)...ReportLatency.lowerBound(bins.upperBound)
    var value: UInt64 = 1
    var parts: [Markup] = []
    while value <= range.upperBound, value < 10_000_000_000_000 {
      if value >= range.lowerBound {
        let place = Self.place(value, bins)
        let x = Canvas.share(place, of: 100_000)
        let anchor = place < 4_000 ? "start" : place > 96_000 ? "end" : "middle"
        parts.append(Canvas.line("g", from: (x, 24), to: (x, bottom - 14)))
        parts.append(Canvas.text(Self.round(value), x: x, y: bottom + 2, "m", anchor: anchor))
      }
      value *= 10
    }
    return parts
  }

  private static func round(_ value: UInt64) -> String {
    let units: [(UInt64, String)] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")]
    let (unit, name) = units.first { value >= $0.0 } ?? (1, "ns")
    return "\(ReportText.number(value / unit)) \(name)"
  }

  private func legend(_ y: Int) -> Markup {
    Markup([
      Canvas.legend("o0", "events in a bin, four bins to a doubling", x: "0", y: y + 10),
      Canvas.legend("k", "percentile", x: "50%", y: y + 10),
    ])
  }
}
