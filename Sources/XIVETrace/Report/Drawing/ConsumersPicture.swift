/// A lane for each consumer's thread: what it touched when.
struct ConsumersPicture {
  let consumers: ReportConsumers
  let span: ReportSpan

  private static let laneHeight = 46
  private static let sigbusHeight = 3
  private static let faultHeight = 14
  private static let exactHeight = 5

  var picture: Picture {
    let lanes = consumers.lanes
    let scale = ReportScale(greatest: lanes.flatMap(\.faults).max() ?? 0)
    guard !lanes.isEmpty else {
      return Picture(
        title: "Consumers", height: 24,
        content: Canvas.text("No consumer touched the device in this trace.", x: "0", y: 14, "m"))
    }
    let parts = lanes.enumerated().map { place, lane in
      self.lane(lane, scale, place * Self.laneHeight)
    }
    let bottom = lanes.count * Self.laneHeight
    let axis = TimeAxis(span: span).drawn(top: 20, bottom: bottom)
    return Picture(
      title: "Consumers: what each thread touched when", height: bottom + TimeAxis.height + 52,
      content: Markup([axis] + parts + [legend(scale, bottom + TimeAxis.height + 8)]))
  }

  private func lane(_ lane: ReportConsumers.Lane, _ scale: ReportScale, _ y: Int) -> Markup {
    let name = consumers.name(lane.threadID)
    let said =
      "\(ReportText.count(lane.counts.faults, "fault")) · "
      + "\(ReportText.number(lane.counts.sigbus)) SIGBUS · "
      + "\(ReportText.number(lane.accesses)) exact · \(ReportText.duration(lane.counts.time))"
    let top = y + 18
    let base = top + Self.sigbusHeight + Self.faultHeight + Self.exactHeight
    return .element(
      "g", ["class": "lane"],
      .leaf("title", [:], "\(name) of process \(lane.processID): \(said)"),
      Canvas.text(name, x: "0", y: y + 12, "b"),
      Canvas.text(said, x: "100%", y: y + 12, "m", anchor: "end"),
      Canvas.rectangle(
        "e", x: "0", y: top, width: "100%", height: base - top),
      Canvas.strip(
        y: top, height: base - top, columns: ReportSpan.binCount, Self.bars(lane, scale)))
  }

  private static func bars(_ lane: ReportConsumers.Lane, _ scale: ReportScale)
    -> [(style: String, path: String)]
  {
    var heat = [String](repeating: "", count: ReportScale.stepCount)
    var sigbus = ""
    var exact = ""
    for bin in lane.faults.indices {
      let step = scale.step(lane.faults[bin])
      if step > 0 { heat[step - 1] += Canvas.bar(bin, top: sigbusHeight, height: faultHeight) }
      if lane.sigbus[bin] > 0 { sigbus += Canvas.bar(bin, top: 0, height: sigbusHeight) }
      if lane.exact[bin] > 0 {
        exact += Canvas.bar(bin, top: sigbusHeight + faultHeight, height: exactHeight)
      }
    }
    return heat.enumerated().map { ("h\($0.offset + 1)", $0.element) }
      + [("o\(ReportOrigin.sigbus.rawValue)", sigbus), ("a", exact)]
  }

  private func legend(_ scale: ReportScale, _ y: Int) -> Markup {
    let weakest = ReportScale.stepCount - scale.bounds.count
    let heat = scale.bounds.enumerated().map { place, bound in
      Canvas.legend(
        "h\(weakest + place + 1)", "≥ \(ReportText.number(bound))",
        x: Canvas.share(place, of: 8), y: y + 10)
    }
    return Markup(
      heat + [
        Canvas.legend(
          "o\(ReportOrigin.sigbus.rawValue)", "SIGBUS, above the faults", x: "0", y: y + 32),
        Canvas.legend("a", "exact accesses and stores, below", x: "34%", y: y + 32),
        Canvas.text("Heat: faults in a bin", x: "70%", y: y + 32, "m"),
      ])
  }
}
