import Glibc
import SystemCalls
import XIVETestSupport

@testable import XIVETrace

/// The tools that read reports as people's programs do: parsers, validators, a browser.
enum ReportTools {
  /// Debian's Python, which has Debian's modules.
  private static let python = "/usr/bin/python3"

  static var canParse: Bool { hasModule("html5lib", package: "python3-html5lib") }

  static var canBrowse: Bool {
    Requirement.has("chromium", package: "chromium")
      && Requirement.has("chromedriver", package: "chromium-driver")
      && hasModule("selenium", package: "python3-selenium")
  }

  private static func hasModule(_ name: String, package: String) -> Bool {
    Requirement.check(
      unsafe access("/usr/lib/python3/dist-packages/\(name)", R_OK) == 0,
      "Python's \(name) is not installed: apt-get install \(package)")
  }

  /// Runs a script that lies beside this file.
  static func run(_ script: String, _ arguments: [String]) throws -> CommandResult {
    let directory = #filePath.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    return try CommandResult(
      [python, "\(directory)/\(script)"] + arguments, within: 300_000)
  }

  /// Writes a report's page and its pictures.
  static func write(_ report: TraceReport, to directory: String) throws -> [String] {
    var paths = ["\(directory)/report.html"]
    try TextFile.write(report.html, to: paths[0])
    for subject in TraceReport.Subject.allCases {
      paths.append("\(directory)/\(subject.rawValue).svg")
      try TextFile.write(report.svg([subject]), to: paths[paths.count - 1])
    }
    paths.append("\(directory)/all.svg")
    try TextFile.write(report.svg(), to: paths[paths.count - 1])
    return paths
  }
}
