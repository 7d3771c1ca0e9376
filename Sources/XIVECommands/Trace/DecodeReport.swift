internal import FoundationEssentials
internal import XIVETrace

/// What `xive trace decode` says of its work on standard error.
struct DecodeReport {
  let lines: [String]
  /// Whether the text is of none of the tools.
  let isNothing: Bool

  init(_ tally: TextDecoder.Tally, hasMaps: Bool, name: String) {
    let events = tally.events.values.reduce(0, +)
    isNothing = events == 0 && tally.mappings == 0
    if isNothing {
      lines = [
        "\(name): nothing recognised in \(tally.lines) lines: "
          + "give the text of perf script, of perf trace -F, or of tracefs"
      ]
      return
    }
    let rewritten = tally.rewritten.values.reduce(0, +)
    let formats = TextFormat.allCases.compactMap { format in
      tally.rewritten[format].map { "\(format.rawValue) \($0)" }
    }
    var words = ["\(tally.lines) lines", "\(events) events", "\(rewritten) rewritten"]
    if !formats.isEmpty { words[2] += " (\(formats.joined(separator: ", ")))" }
    if tally.holes > 0 { words.append("\(tally.holes) in no page of the device") }
    if tally.unmapped > 0 { words.append("\(tally.unmapped) addresses in no known mapping") }
    lines = [words.joined(separator: ", ")] + Self.hints(tally, rewritten, hasMaps)
  }

  private static func hints(_ tally: TextDecoder.Tally, _ rewritten: Int, _ hasMaps: Bool)
    -> [String]
  {
    if tally.unmapped > 0, !hasMaps, tally.mappings == 0 {
      return ["addresses need mappings: give --maps, or use perf script --show-mmap-events"]
    }
    return rewritten == 0 ? ["no event is of the device: name it by --device"] : []
  }
}

/// A line of the device, for programs.
struct DecodedLine: Encodable {
  let schemaVersion = 1
  let line: Int
  let format: String
  let event: String
  let name: String
  let offset: UInt64
  let offsetHex: String
  let access: String?
  let comm: String?
  let tid: UInt32?
  let cpu: UInt32?
  /// Nanoseconds on the clock of the tool.
  let time: UInt64?
  let text: String

  init(_ decoded: TextDecoder.Line, _ number: Int) {
    line = number
    format = decoded.format.rawValue
    event = decoded.event
    name = decoded.name
    offset = decoded.offset
    offsetHex = hexadecimal(decoded.offset)
    access = decoded.access == .unknown ? nil : decoded.access.name
    comm = decoded.comm
    tid = decoded.threadID
    cpu = decoded.processor
    time = decoded.time
    text = String(decoding: decoded.bytes, as: UTF8.self)
  }

  /// One line.
  var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // It has numbers and text alone, which can always be encoded.
    return (try? encoder.encode(self)).map(Array.init) ?? []
  }
}
