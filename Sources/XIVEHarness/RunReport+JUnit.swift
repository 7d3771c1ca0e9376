extension RunReport {
  /// The report in the XML form that JUnit introduced and other tools read.
  ///
  /// Source: Apache Ant `src/etc/testcases/taskdefs/optional/junit`, the elements and attributes that its
  /// formatter writes.
  public var junit: String {
    let seconds = results.reduce(0) { $0 + $1.seconds }
    var lines = [
      #"<?xml version="1.0" encoding="UTF-8"?>"#,
      #"<testsuite name="xive hotplug" tests="\#(results.count)" failures="\#(failed)" "#
        + #"errors="0" skipped="\#(skipped)" time="\#(Self.decimal(seconds))">"#,
      "  <properties>",
      #"    <property name="seed" value="\#(seed)"/>"#,
      "  </properties>",
    ]
    lines += results.flatMap(\.junit)
    return (lines + ["</testsuite>"]).joined(separator: "\n") + "\n"
  }

  /// Writes seconds with three decimals.
  static func decimal(_ seconds: Double) -> String {
    let thousandths = Int((max(0, seconds) * 1_000).rounded())
    let rest = String(thousandths % 1_000)
    return "\(thousandths / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }
}

extension ScenarioResult {
  fileprivate var junit: [String] {
    let head =
      #"  <testcase classname="xive.hotplug" name="\#(Self.escaped(scenario))" "#
      + #"time="\#(RunReport.decimal(seconds))">"#
    var lines = [head]
    let reason = Self.escaped(reason ?? "")
    switch outcome {
    case .passed: break
    case .failed:
      let files = [log.map { "log: \($0)" }, trace.map { "trace: \($0)" }]
      let rest = ([repeatCommand] + files).compactMap { $0 }
      lines.append(
        #"    <failure message="\#(reason)">\#(Self.escaped(rest.joined(separator: "\n")))</failure>"#
      )
    case .skipped: lines.append(#"    <skipped message="\#(reason)"/>"#)
    }
    if !steps.isEmpty || !lastRecords.isEmpty {
      let text = (["seed \(seed)"] + steps.map(\.text) + lastRecords).joined(separator: "\n")
      lines.append("    <system-out>\(Self.escaped(text))</system-out>")
    }
    return lines + ["  </testcase>"]
  }

  /// Writes text so that XML takes it for text; control characters, which XML has no way to write, become '?'.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\n": result += "&#10;"
      case "\t": result += "&#9;"
      default: result.unicodeScalars.append(scalar.value < 0x20 ? "?" : scalar)
      }
    }
    return result
  }
}
