/// A picture that is as wide as its place.
struct Picture: Sendable {
  /// What it is called, for headings and for readers that cannot see it.
  let title: String
  /// Pixels.
  let height: Int
  let content: Markup

  /// Pixels of a picture in a file of its own.
  private static let fileWidth = 1_200
  private static let margin = 24
  private static let headHeight = 44

  /// The picture in a page, in whose style it takes part.
  func inline(id: String) -> Markup {
    .element(
      "svg",
      [
        "id": id, "class": "picture", "role": "img", "aria-label": title, "width": "100%",
        "height": "\(height)",
      ], content)
  }

  /// Pictures in a file of their own, one below the other, under a heading.
  static func file(_ pictures: [Picture], heading: String) -> String {
    var y = margin + headHeight
    var parts: [Markup] = []
    for picture in pictures {
      parts.append(Canvas.text(picture.title, x: "\(margin)", y: y + 4, "b"))
      parts.append(picture.placed(y: y + 20))
      y += picture.height + 20 + margin
    }
    let root: KeyValuePairs = [
      "xmlns": "http://www.w3.org/2000/svg", "width": "\(fileWidth)", "height": "\(y)",
      "viewBox": "0 0 \(fileWidth) \(y)", "role": "img",
    ]
    let head: [Markup] = [
      .leaf("title", [:], heading), .element("style", [:], [.verbatim(style)]),
      .shape("rect", ["class": "bg", "width": "\(fileWidth)", "height": "\(y)"]),
      Canvas.text(heading, x: "\(margin)", y: margin + 12, "m"),
    ]
    return Markup.element("svg", root, head + parts).source + "\n"
  }

  private func placed(y: Int) -> Markup {
    .element(
      "svg",
      [
        "x": "\(Self.margin)", "y": "\(y)", "width": "\(Self.fileWidth - 2 * Self.margin)",
        "height": "\(height)",
      ], content)
  }

  private static var style: String {
    "text{font:12px system-ui,'DejaVu Sans',sans-serif}.b{font-size:13px;font-weight:600}"
      + ".n,.z{fill:none}.g,.p{stroke-width:1}" + ReportPalette.light.rules
      + "@media(prefers-color-scheme:dark){\(ReportPalette.dark.rules)}"
  }
}
