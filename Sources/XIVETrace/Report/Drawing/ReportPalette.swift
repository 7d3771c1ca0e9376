/// The colours of pictures and page, light and dark.
///
/// The heat scale is matplotlib's magma (public domain), cut so that its weakest step stands out 3:1 from the
/// background: its lightness alone orders it, so that no kind of colour blindness mixes steps up. The origins differ
/// in lightness as well as in hue, and no colour is the only sign of anything: titles and tables say the same.
struct ReportPalette: Sendable {
  /// Colours by the name of the class that has them as its fill, or for lines as its stroke.
  let fills: [(name: String, colour: String)]
  let strokes: [(name: String, colour: String)]

  static let light = ReportPalette(
    background: "#ffffff", text: "#1b1f24", muted: "#59626d", line: "#d5dae0", tick: "#868e98",
    faint: "#eef0f3", access: "#2f6fb5",
    heat: ["#ef645e", "#d6456c", "#b1357b", "#892881", "#641a80", "#3b0f70", "#140e36"],
    origins: ["#2f6fb5", "#c2570c", "#8250a8", "#1a7f5a", "#6e7781", "#17879c", "#8f0f2b"])

  static let dark = ReportPalette(
    background: "#14171c", text: "#e8ebef", muted: "#9fa9b5", line: "#333a43", tick: "#727c88",
    faint: "#20252c", access: "#6cb0ff",
    heat: ["#b73779", "#d8456c", "#f1605d", "#fc8961", "#feae77", "#fed799", "#fcfdbf"],
    origins: ["#6cb0ff", "#ff9d4d", "#c79bf2", "#4fd1a0", "#9aa4af", "#58c4dc", "#ff6b81"])

  private init(
    background: String, text: String, muted: String, line: String, tick: String, faint: String,
    access: String, heat: [String], origins: [String]
  ) {
    fills =
      [
        ("bg", background), ("t", text), ("b", text), ("m", muted), ("e", faint), ("x", tick),
        ("a", access), ("k", text),
      ]
      + heat.enumerated().map { ("h\($0.offset + 1)", $0.element) }
      + origins.enumerated().map { ("o\($0.offset)", $0.element) }
    strokes = [("g", line), ("p", text)]
  }

  /// Rules for a file of its own, in which every colour is spelled out: not every reader knows variables.
  var rules: String {
    fills.map { ".\($0.name){fill:\($0.colour)}" }.joined()
      + strokes.map { ".\($0.name){stroke:\($0.colour)}" }.joined()
  }

  /// The colours as variables, for a page that switches between palettes.
  var variables: String { (fills + strokes).map { "--\($0.name):\($0.colour);" }.joined() }

  /// Rules that take the variables.
  static var variableRules: String {
    light.fills.map { ".\($0.name){fill:var(--\($0.name))}" }.joined()
      + light.strokes.map { ".\($0.name){stroke:var(--\($0.name))}" }.joined()
  }
}
