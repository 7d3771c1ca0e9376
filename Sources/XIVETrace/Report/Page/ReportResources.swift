/// Style and script of a page, from the files beside this one, which the compiler puts into the program.
enum ReportResources {
  /// The style, with the colours of both themes in front.
  static let style =
    ":root{\(ReportPalette.light.variables)}"
    + "@media(prefers-color-scheme:dark){:root:not([data-theme=light]){\(ReportPalette.dark.variables)}}"
    + ":root[data-theme=dark]{\(ReportPalette.dark.variables)}"
    + ReportPalette.variableRules + text(PackageResources.report_css)

  /// The script: one function, so that nothing of it is visible outside.
  static let script =
    "(()=>{'use strict';\n"
    + [
      PackageResources.data_js, PackageResources.theme_js, PackageResources.map_js,
      PackageResources.zoom_js, PackageResources.search_js,
    ].map(text).joined() + "})();"

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
