/// Shapes of a picture that is as wide as its place: horizontal places are shares of the width, vertical ones pixels,
/// so that text keeps its size whatever the width.
enum Canvas {
  /// A share of the width.
  static func share(_ part: Int, of whole: Int) -> String {
    let thousandths = part * 100_000 / max(whole, 1)
    return "\(thousandths / 1_000).\(String(thousandths % 1_000 + 1_000).dropFirst())%"
  }

  /// A line of text.
  static func text(
    _ text: String, x: String, y: Int, _ style: String = "t", anchor: String = "start"
  ) -> Markup {
    .leaf("text", ["class": style, "x": x, "y": "\(y)", "text-anchor": anchor], text)
  }

  /// A filled rectangle; the title is what a pointer over it shows.
  static func rectangle(
    _ style: String, x: String, y: Int, width: String, height: Int, title: String? = nil
  ) -> Markup {
    let attributes: KeyValuePairs = [
      "class": style, "x": x, "y": "\(y)", "width": width, "height": "\(height)",
    ]
    guard let title else { return .shape("rect", attributes) }
    return .element("rect", attributes, .leaf("title", [:], title))
  }

  /// A horizontal or vertical line.
  static func line(_ style: String, from: (String, Int), to: (String, Int)) -> Markup {
    .shape(
      "line",
      ["class": style, "x1": from.0, "y1": "\(from.1)", "x2": to.0, "y2": "\(to.1)"])
  }

  /// A strip in which columns stand: one path for each style, a unit of width for each column.
  static func strip(
    y: Int, height: Int, columns: Int, _ bars: [(style: String, path: String)]
  ) -> Markup {
    .element(
      "svg",
      [
        "x": "0", "y": "\(y)", "width": "100%", "height": "\(height)",
        "viewBox": "0 0 \(columns) \(height)", "preserveAspectRatio": "none",
        "shape-rendering": "crispEdges",
      ],
      bars.filter { !$0.path.isEmpty }.map { .shape("path", ["class": $0.style, "d": $0.path]) })
  }

  /// A bar of a strip's path, from a height downwards.
  static func bar(_ column: Int, top: Int, height: Int) -> String {
    height > 0 ? "M\(column) \(top)h1v\(height)h-1z" : ""
  }

  /// A legend's entry: a swatch and its text.
  static func legend(_ style: String, _ text: String, x: String, y: Int) -> Markup {
    Markup([
      .element(
        "svg", ["x": x, "y": "\(y - 10)", "overflow": "visible", "width": "12", "height": "12"],
        .shape("rect", ["class": style, "width": "12", "height": "12", "rx": "2"]),
        .leaf("text", ["class": "t", "x": "18", "y": "10"], text))
    ])
  }
}
