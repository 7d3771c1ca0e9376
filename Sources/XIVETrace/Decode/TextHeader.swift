/// What stands in front of an event: who, where and when.
struct TextHeader {
  var comm: String?
  /// The thread.
  var threadID: UInt32?
  /// The process, where the line has it.
  var processID: UInt32?
  var processor: UInt32?
  /// Nanoseconds on the clock of the tool.
  var time: UInt64?

  /// Knows nothing.
  init() {}

  /// Reads what `perf script` and tracefs put in front of the name of an event.
  ///
  /// perf script: `comm TID [CPU] FLAGS SECONDS: PERIOD`, with `PID/TID` for the thread if asked; all but the time may be
  /// missing. tracefs: `comm-TID (TGID) [CPU] FLAGS SECONDS:`. A comm may have blanks, and hyphens, in it.
  /// Source: Linux `tools/perf/builtin-script.c`, `perf_sample__fprintf_start`; `kernel/trace/trace_output.c`,
  /// `trace_print_context`.
  init(_ text: ArraySlice<UInt8>) {
    let words = text.words
    guard let place = words.lastIndex(where: { Self.seconds($0) != nil }) else { return }
    time = Self.seconds(words[place])
    var rest = words[..<place]
    if let cpu = rest.lastIndex(where: { Self.processor($0) != nil }) {
      processor = Self.processor(rest[cpu])
      rest = rest[..<cpu]
    }
    readThread(rest)
  }

  private mutating func readThread(_ words: ArraySlice<ArraySlice<UInt8>>) {
    var rest = words
    if let group = rest.last, group.last == UInt8(ascii: ")") {
      processID = group.dropLast().drop { $0 == UInt8(ascii: "(") }.number(radix: 10)
        .flatMap { UInt32(exactly: $0.value) }
      rest.removeLast()
      if rest.last?.elementsEqual("(".utf8) == true { rest.removeLast() }
    }
    if let last = rest.last, let hyphen = last.lastIndex(of: UInt8(ascii: "-")),
      let thread = Self.whole(last[(hyphen + 1)...])
    {
      threadID = thread
      let name = rest.dropLast().map(\.text) + [last[..<hyphen].text]
      comm = name.joined(separator: " ")
      return
    }
    guard let place = rest.lastIndex(where: { Self.thread($0) != nil }) else { return }
    (processID, threadID) = Self.thread(rest[place]) ?? (processID, nil)
    let name = rest[..<place].map(\.text).joined(separator: " ")
    comm = name.isEmpty ? nil : name
  }

  /// Reads `TID` or `PID/TID`.
  private static func thread(_ word: ArraySlice<UInt8>) -> (UInt32?, UInt32)? {
    guard let slash = word.firstIndex(of: UInt8(ascii: "/")) else {
      return whole(word).map { (nil, $0) }
    }
    guard let process = whole(word[..<slash]), let thread = whole(word[(slash + 1)...]) else {
      return nil
    }
    return (process, thread)
  }

  private static func whole(_ word: ArraySlice<UInt8>) -> UInt32? {
    guard let number = word.number(radix: 10), number.digits.upperBound == word.endIndex else {
      return nil
    }
    return UInt32(exactly: number.value)
  }

  private static func processor(_ word: ArraySlice<UInt8>) -> UInt32? {
    guard word.first == UInt8(ascii: "["), word.last == UInt8(ascii: "]") else { return nil }
    return whole(word.dropFirst().dropLast())
  }

  /// Reads `32534.806371:` into nanoseconds.
  static func seconds(_ word: ArraySlice<UInt8>) -> UInt64? {
    guard word.last == UInt8(ascii: ":") else { return nil }
    return nanoseconds(word.dropLast(), unit: 1_000_000_000)
  }

  /// Reads a decimal fraction of a unit of so many nanoseconds.
  static func nanoseconds(_ word: ArraySlice<UInt8>, unit: UInt64) -> UInt64? {
    guard let point = word.firstIndex(of: UInt8(ascii: ".")),
      let whole = word[..<point].number(radix: 10), whole.digits.upperBound == point,
      let part = word[(point + 1)...].number(radix: 10),
      part.digits.upperBound == word.endIndex, part.digits.count <= 9
    else { return nil }
    let fraction = part.value * unit / Self.power(part.digits.count)
    let (sum, overflow) = whole.value.multipliedReportingOverflow(by: unit)
    return overflow ? nil : sum &+ fraction
  }

  private static func power(_ digits: Int) -> UInt64 {
    (0..<digits).reduce(1) { product, _ in product * 10 }
  }
}
