extension TextEvent {
  /// A fault of `perf trace -F`: `106.923 ( 0.000 ms): comm/2404 majfault [load+0xc0] => /tmp/device@0x1000 (d.)`.
  ///
  /// An address that lies in no file is written without a path. Source: Linux `tools/perf/builtin-trace.c`,
  /// `trace__pgfault`.
  static func perfTrace(_ line: ArraySlice<UInt8>) -> TextEvent? {
    guard let name = line.range(of: " minfault [") ?? line.range(of: " majfault ["),
      let arrow = line[name.upperBound...].lastRange(of: " => "),
      let end = line[arrow.upperBound...].lastRange(of: " (")?.lowerBound,
      let place = place(in: line[arrow.upperBound..<end])
    else { return nil }
    let word = name.lowerBound + 1..<name.upperBound - 2
    return TextEvent(
      .perfTrace, line[word].text, [place], header: TextHeader(perfTrace: line[..<name.lowerBound]))
  }

  private static func place(in text: ArraySlice<UInt8>) -> Place? {
    guard let at = text.lastRange(of: "@0x") else {
      return text.number(radix: 16).map { Place(range: $0.digits, target: .address($0.value)) }
    }
    let path = text[..<at.lowerBound].text
    return text[(at.lowerBound + 1)...].number(radix: 16).map {
      Place(range: $0.digits, target: .offset($0.value, in: .path(path)))
    }
  }
}

extension TextHeader {
  /// Reads what `perf trace` puts in front of an event: `MILLISECONDS ( DURATION): comm/TID`.
  init(perfTrace text: ArraySlice<UInt8>) {
    self.init()
    if let word = text.words.first {
      time = Self.nanoseconds(word, unit: 1_000_000)
    }
    guard let start = text.range(of: "): ")?.upperBound,
      let slash = text[start...].lastIndex(of: UInt8(ascii: "/"))
    else { return }
    comm = text[start..<slash].text
    threadID = text[(slash + 1)...].number(radix: 10).flatMap { UInt32(exactly: $0.value) }
  }
}
