internal import XIVEModel

/// The device map as a heat map: a grid for each area, a cell for a run of numbers.
struct MapPicture {
  static let columns = 64
  private static let rowHeight = 18
  private static let cellHeight = 14
  private static let headHeight = 22
  private static let gap = 14

  let areas: ReportAreas
  let measure: ReportMeasure

  var picture: Picture {
    let scale = areas.scale(measure)
    var y = 0
    var parts: [Markup] = []
    for (index, area) in areas.drawn.enumerated() {
      parts.append(grid(area, index, scale, y))
      y += Self.height(area)
    }
    if areas.drawn.isEmpty {
      parts.append(Canvas.text("No page existed, and none was touched.", x: "0", y: 14, "m"))
      y = 24
    }
    parts.append(legend(scale, y + 12))
    return Picture(
      title: "Device map: \(measure.noun)", height: y + 62, content: Markup(parts))
  }

  private static func height(_ area: ReportArea) -> Int {
    let rows = (area.cells.count + columns - 1) / columns
    return headHeight + rows * rowHeight + gap
  }

  private func grid(_ area: ReportArea, _ index: Int, _ scale: ReportScale, _ y: Int) -> Markup {
    let head = [
      Canvas.text(area.name, x: "0", y: y + 12, "b"),
      Canvas.text(Self.summary(area), x: "100%", y: y + 12, "m", anchor: "end"),
    ]
    let cells = area.cells.indices.map { cell in
      self.cell(area, cell, scale, y + Self.headHeight)
    }
    return .element(
      "g", ["class": "area", "data-area": "\(index)", "aria-label": area.name], head + cells)
  }

  private static func summary(_ area: ReportArea) -> String {
    let numbers = ReportSubject.text(area.sort, area.numbers)
    let size = area.cellSize == 1 ? "one" : ReportText.number(UInt64(area.cellSize))
    return "\(numbers), \(size) a cell · \(ReportText.count(area.counts.faults, "fault"))"
  }

  private func cell(_ area: ReportArea, _ cell: Int, _ scale: ReportScale, _ top: Int) -> Markup {
    let x = Canvas.share(cell % Self.columns, of: Self.columns)
    let y = top + cell / Self.columns * Self.rowHeight
    let counts = area.cells[cell]
    let step = scale.step(counts[measure])
    let exists = area.exists(cell)
    let style = step > 0 ? "c h\(step)" : exists || counts.faults > 0 ? "c e" : "c n"
    let body = Canvas.rectangle(
      style, x: x, y: y, width: "1.4%", height: Self.cellHeight, title: Self.title(area, cell))
    guard exists else { return body }
    let mark = Canvas.rectangle("x", x: x, y: y + Self.cellHeight, width: "1.4%", height: 2)
    return Markup([body, mark])
  }

  /// What a cell says when it is pointed at.
  private static func title(_ area: ReportArea, _ cell: Int) -> String {
    let numbers = ReportSubject.text(area.sort, area.numbers(ofCell: cell))
    let counts = area.cells[cell]
    guard counts.faults > 0 else {
      return "\(numbers): \(area.exists(cell) ? "not touched" : "did not exist")"
    }
    return "\(numbers): \(ReportText.count(counts.faults, "fault")), "
      + "\(ReportText.number(counts.refaults)) refaults, \(ReportText.number(counts.sigbus)) SIGBUS, "
      + ReportText.duration(counts.time)
  }

  private func legend(_ scale: ReportScale, _ y: Int) -> Markup {
    let weakest = ReportScale.stepCount - scale.bounds.count
    let swatches = (0..<ReportScale.stepCount).map { step -> Markup in
      let isUsed = step < scale.bounds.count
      let text = isUsed ? "≥ \(Self.text(scale.bounds[step], measure))" : ""
      let style = isUsed ? "h\(weakest + step + 1)" : "n"
      return Canvas.legend(style, text, x: Canvas.share(step, of: 8), y: y + 10)
    }
    return .element(
      "g", ["class": "legend"],
      swatches + [
        Canvas.legend("e", "nothing of it, or not touched", x: "0", y: y + 32),
        Canvas.legend("x", "existed when recording began", x: "50%", y: y + 32),
      ])
  }

  static func text(_ value: UInt64, _ measure: ReportMeasure) -> String {
    measure == .time ? ReportText.duration(value) : ReportText.number(value)
  }
}
