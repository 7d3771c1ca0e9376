/// The time axis that the timeline and the lanes share.
struct TimeAxis {
  let span: ReportSpan

  static let height = 22

  /// Nanoseconds that the whole width shows.
  private var width: UInt64 { span.binWidth.multipliedReportingOverflow(by: 200).partialValue }

  /// Ticks at round times, at most ten, with lines through what is above them.
  func drawn(top: Int, bottom: Int) -> Markup {
    let step = self.step
    let parts = stride(from: 0, through: width, by: Int(step)).map { time -> Markup in
      let place = Int(Double(time) * 100_000 / Double(width))
      let x = Canvas.share(place, of: 100_000)
      let anchor = place == 0 ? "start" : place > 96_000 ? "end" : "middle"
      return Markup([
        Canvas.line("g", from: (x, top), to: (x, bottom)),
        Canvas.text(label(time, step), x: x, y: bottom + 15, "m", anchor: anchor),
      ])
    }
    return Markup(parts)
  }

  /// 1, 2 or 5 times a power of ten nanoseconds: the least with which eight ticks are enough.
  private var step: UInt64 {
    var decade: UInt64 = 1
    while decade < 100_000_000_000_000_000 {
      for factor in [1, 2, 5] as [UInt64] where width / (decade * factor) <= 8 {
        return decade * factor
      }
      decade *= 10
    }
    return decade
  }

  private func label(_ time: UInt64, _ step: UInt64) -> String {
    let units: [(UInt64, String)] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")]
    let (unit, name) = units.first { step >= $0.0 || width >= $0.0 * 10 } ?? (1, "ns")
    let whole = time / unit
    let tenths = time % unit * 10 / unit
    return tenths == 0
      ? "\(ReportText.number(whole)) \(name)" : "\(ReportText.number(whole)).\(tenths) \(name)"
  }
}
