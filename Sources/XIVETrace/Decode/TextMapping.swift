/// A mapping that a line of `perf script --show-mmap-events` tells of.
struct TextMapping {
  let processID: UInt32
  let mapping: ProcessMapping

  /// Reads a line; nil for any other.
  ///
  /// `PERF_RECORD_MMAP2 2377/2377: [0x7f7e11a20000(0x100000) @ 0x10000000000 00:27 1 0]: rw-s /tmp/device`; with a build
  /// number in place of device, inode and generation when the file has one. Device numbers are hexadecimal.
  /// Source: Linux `tools/perf/util/event.c`, `perf_event__fprintf_mmap2`.
  init?(_ line: ArraySlice<UInt8>) {
    guard let record = line.range(of: "PERF_RECORD_MMAP"),
      let process = line[record.upperBound...].words.dropFirst().first?.number(radix: 10),
      let open = line[record.upperBound...].range(of: "[0x")?.lowerBound,
      let close = line[open...].range(of: "]: ")
    else { return nil }
    let path = line[close.upperBound...].drop { $0 != 0x20 }.dropFirst()
    guard let mapping = Self.mapping(line[(open + 1)..<close.lowerBound], path.text),
      let number = UInt32(exactly: process.value)
    else { return nil }
    processID = number
    self.mapping = mapping
  }

  private static func mapping(_ text: ArraySlice<UInt8>, _ path: String) -> ProcessMapping? {
    guard let start = text.number(radix: 16),
      let length = text[start.digits.upperBound...].dropFirst().number(radix: 16),
      let at = text.range(of: " @ ")?.upperBound, let offset = text[at...].number(radix: 16)
    else { return nil }
    let (end, overflow) = start.value.addingReportingOverflow(length.value)
    guard !overflow, length.value > 0 else { return nil }
    return ProcessMapping(
      addresses: start.value..<end, offset: offset.value,
      file: file(text[offset.digits.upperBound...].words), path: path)
  }

  /// No file for one that is known by its build number.
  private static func file(_ words: [ArraySlice<UInt8>]) -> FileIdentity {
    guard words.count >= 2, let colon = words[0].firstIndex(of: UInt8(ascii: ":")),
      let major = words[0][..<colon].number(radix: 16),
      let minor = words[0][(colon + 1)...].number(radix: 16),
      let inode = words[1].number(radix: 10), let first = UInt32(exactly: major.value),
      let second = UInt32(exactly: minor.value)
    else { return FileIdentity(major: 0, minor: 0, inode: 0) }
    return FileIdentity(major: first, minor: second, inode: inode.value)
  }
}
