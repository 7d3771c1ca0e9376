/// A table of a page.
struct ReportTable {
  /// A column: its heading, and whether it holds figures, which stand right.
  struct Column {
    let name: String
    let isFigure: Bool

    static func text(_ name: String) -> Self { Self(name: name, isFigure: false) }
    static func figure(_ name: String) -> Self { Self(name: name, isFigure: true) }
  }

  /// A cell: its text, and what a search for it looks for.
  struct Cell: ExpressibleByStringLiteral {
    let text: String
    var target: String?

    init(_ text: String, target: String? = nil) {
      self.text = text
      self.target = target
    }

    init(stringLiteral text: String) { self.init(text) }
  }

  let caption: String
  let columns: [Column]
  let rows: [[Cell]]
  /// What stands in place of a table without rows.
  let empty: String

  /// The table; the first column of each row is its heading.
  var markup: Markup {
    guard !rows.isEmpty else {
      return .element(
        "div", ["class": "table"], .leaf("h3", [:], caption), .leaf("p", ["class": "none"], empty))
    }
    let head = columns.map { column in
      Markup.leaf("th", Self.attributes(column, "col"), column.name)
    }
    return .element(
      "div", ["class": "table", "tabindex": "0", "role": "region", "aria-label": caption],
      .element(
        "table", [:],
        .leaf("caption", [:], caption), .element("thead", [:], .element("tr", [:], head)),
        .element("tbody", [:], rows.map(row))))
  }

  private func row(_ cells: [Cell]) -> Markup {
    .element(
      "tr", [:],
      zip(columns, cells).enumerated().map { place, pair in
        let (column, cell) = pair
        let style = column.isFigure ? "f" : "w"
        let name = place == 0 ? "th" : "td"
        let scope: [(String, String)] = place == 0 ? [("scope", "row")] : []
        let target = cell.target.map { [("data-find", $0)] } ?? []
        return .leaf(name, [("class", style)] + scope + target, cell.text)
      })
  }

  private static func attributes(_ column: Column, _ scope: String) -> KeyValuePairs<String, String>
  {
    ["scope": scope, "class": column.isFigure ? "f" : "w"]
  }
}
