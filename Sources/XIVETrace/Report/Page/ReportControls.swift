/// What only works with a script; hidden until it runs.
enum ReportControls {
  /// The search and the switch of the theme.
  static let search = Markup.element(
    "div", ["class": "controls scripted"],
    .element(
      "form", ["role": "search", "id": "search"],
      .leaf("label", ["for": "query"], "Find a LISN"),
      .void(
        "input",
        [
          "id": "query", "type": "text", "autocomplete": "off", "spellcheck": "false",
          "placeholder": "17, 0x11, esb:17, phb:0:3", "aria-describedby": "answer",
          "aria-keyshortcuts": "/",
        ]),
      .leaf("button", ["type": "submit"], "Find")),
    .leaf("button", ["type": "button", "id": "theme"], "Dark theme"))

  /// Where the search says what it found.
  static let answer = Markup.leaf("p", ["id": "answer", "role": "status"], "")

  /// The switch of what the map's colour shows.
  static let measures = Markup.element(
    "fieldset", ["class": "measures scripted"],
    [.leaf("legend", [:], "Colour shows")]
      + ReportMeasure.allCases.enumerated().map { place, measure in
        .element(
          "label", [:],
          place == 0
            ? .void(
              "input", ["type": "radio", "name": "measure", "value": "\(place)", "checked": ""])
            : .void("input", ["type": "radio", "name": "measure", "value": "\(place)"]),
          .leaf("span", [:], measure.name))
      })

  /// Where a cell's pages are shown.
  static let zoom = Markup.element(
    "div", ["id": "zoom", "hidden": "", "role": "region", "aria-label": "Zoom of the map"],
    .element("div", ["id": "trail"], .none),
    .element("div", ["id": "grid"], .none),
    .element("div", ["id": "subject"], .none))
}
