/// Draws a ``TopView`` as lines of text: a screen of a terminal, or a table for scripts.
public struct TopScreen: Sendable {
  /// A line, and how a terminal shows it.
  public struct Line: Hashable, Sendable {
    /// How a line is shown.
    public enum Style: Hashable, Sendable {
      /// As it is.
      case plain
      /// As the head of rows.
      case head
    }
    /// The text, in ASCII alone, so that each character takes one column.
    public let text: String
    /// How it is shown.
    public let style: Style
  }

  private let view: TopView
  private let title: String
  private let controls: TopControls?

  /// Prepares a view.
  /// - Parameters:
  ///   - view: what to show.
  ///   - title: the device's path.
  ///   - controls: what the user has chosen; nil for a table that nobody controls.
  public init(_ view: TopView, title: String, controls: TopControls? = nil) {
    self.view = view
    self.title = title.printable
    self.controls = controls
  }

  /// Everything, however long: for scripts.
  public var everything: [Line] { lines(width: .max, height: .max) }

  /// Draws the screen.
  /// - Parameters:
  ///   - width: columns.
  ///   - height: rows.
  /// - Returns: no more lines than rows, none longer than the width.
  public func lines(width: Int, height: Int) -> [Line] {
    guard controls?.showsHelp != true else {
      return fit(TopControls.help.map(plain), width, height)
    }
    let head = [titleLine(width)] + facts.map(plain)
    let foot = controls.map { [plain($0.summary)] } ?? []
    // Most of the screen is the pages'; each of the others has a quarter at most.
    let room = max(0, height &- head.count - foot.count)
    let consumers = section(consumerTable, width, room / 4)
    let hotplug = section(hotplugTable, width, room / 4)
    let pages = section(
      pageTable, width, max(2, room - consumers.count - hotplug.count))
    var body = pages + consumers + hotplug
    if controls != nil, body.count < room {
      body += [Line](repeating: plain(""), count: room - body.count)
    }
    return fit(head + body.prefix(max(0, room)) + foot, width, height)
  }

  private func fit(_ lines: [Line], _ width: Int, _ height: Int) -> [Line] {
    lines.prefix(height).map { Line(text: $0.text.cut(to: width), style: $0.style) }
  }

  private func plain(_ text: String) -> Line { Line(text: text, style: .plain) }

  // MARK: - Above the rows

  private func titleLine(_ width: Int) -> Line {
    let state = controls?.isPaused == true ? "  PAUSED" : ""
    return plain("xive trace top  \(title)  \(Self.decimal(view.seconds)) s\(state)")
  }

  private var facts: [String] {
    [rateLine, latencyLine, "PQ of what was touched: \(mix)   lost records: \(losses)"]
  }

  private var losses: String {
    view.lostInAll == 0 ? "none" : "\(view.lost), since the start \(view.lostInAll)"
  }

  private var mix: String {
    view.pq.isEmpty
      ? "nothing"
      : view.pq.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        .joined(separator: ", ")
  }

  private var rateLine: String {
    let kinds = [
      ("fill", "fills"), ("load", "loads"), ("store", "stores"), ("write-back", "write-backs"),
      ("trigger", "triggers"), ("forward", "forwards"), ("eoi", "EOIs"), ("zap", "zaps"),
    ]
    return "per second: "
      + kinds.map { "\($0.1) \(Self.rate(view.rates[$0.0] ?? 0))" }.joined(separator: "  ")
  }

  private var latencyLine: String {
    let parts = ["fill", "exact", "zap"].map { name in
      let words = view.latency[name].map { "\(Self.decimal($0.p50))/\(Self.decimal($0.p99))" }
      return "\(name) \(words ?? "-")"
    }
    return "us p50/p99: " + parts.joined(separator: "  ")
  }

  // MARK: - Rows

  private func section(_ table: TopTable, _ width: Int, _ room: Int) -> [Line] {
    guard room >= 2, !table.rows.isEmpty else { return [] }
    var cut = table
    // The rest of the rows must not widen the columns.
    cut.rows = Array(table.rows.prefix(room - 1))
    return cut.lines(width: width).enumerated().map { index, text in
      Line(text: text, style: index == 0 ? .head : .plain)
    }
  }

  private var pageTable: TopTable {
    var table = TopTable(columns: [
      .init(title: "PAGE", rank: 0, isNumber: false), .init(title: "FAULTS/s", rank: 1),
      .init(title: "REFAULTS/s", rank: 4), .init(title: "SIGBUS/s", rank: 3),
      .init(title: "EXACT/s", rank: 2), .init(title: "STORES/s", rank: 8),
      .init(title: "US/s", rank: 7), .init(title: "FAULTS", rank: 9),
      .init(title: "PQ", rank: 5, isNumber: false),
      .init(title: "BACKING", rank: 10, isNumber: false),
      .init(title: "CAUSE", rank: 6, isNumber: false),
    ])
    table.rows = view.pages.map { page in
      [
        page.name, Self.rate(page.faults), Self.rate(page.refaults), Self.rate(page.sigbus),
        Self.rate(page.exact), Self.rate(page.writeBacks), Self.rate(page.microseconds),
        "\(page.faultsInAll)", page.pq ?? "-", page.backing, page.cause,
      ]
    }
    return table
  }

  private var consumerTable: TopTable {
    var table = TopTable(columns: [
      .init(title: "CONSUMER", rank: 0, isNumber: false), .init(title: "TOUCHES/s", rank: 1),
      .init(title: "FAULTS/s", rank: 2), .init(title: "SIGBUS/s", rank: 3),
    ])
    table.rows = view.consumers.map { consumer in
      [
        "\((consumer.name ?? "?").printable)/\(consumer.threadID)", Self.rate(consumer.touches),
        Self.rate(consumer.faults), Self.rate(consumer.sigbus),
      ]
    }
    return table
  }

  private var hotplugTable: TopTable {
    var table = TopTable(columns: [
      .init(title: "HOT-PLUG", rank: 0, isNumber: false), .init(title: "AGO s", rank: 1),
      .init(title: "US", rank: 2), .init(title: "WHAT", rank: 3, isNumber: false),
    ])
    table.rows = view.hotplug.map { event in
      [event.kind, Self.decimal(event.secondsAgo), Self.decimal(event.microseconds), event.what]
    }
    return table
  }

  // MARK: - Numbers

  /// A rate in few characters: below ten with a decimal, so that a rare thing is not nothing.
  static func rate(_ value: Double) -> String {
    if value == 0 { return "0" }
    if value < 9.95 { return decimal(max(value, 0.1)) }
    return "\(UInt64(value.rounded()))"
  }

  /// A number with one decimal.
  static func decimal(_ value: Double) -> String {
    let tenths = UInt64((min(max(value, 0), 1e15) * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
