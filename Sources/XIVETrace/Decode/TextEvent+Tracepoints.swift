/// Events as tracefs and `perf script` print them: tracepoints of the page cache and of page faults, and samples.
extension TextEvent {
  /// A tracepoint of the page cache: `mm_filemap_fault: dev=0:39 ino=1 ofs=4096`.
  ///
  /// Older kernels write `dev 0:39 ino 1`; a range of pages is `ofs=0-4096`. The inode is hexadecimal, the others are
  /// decimal. Source: Linux `include/trace/events/filemap.h`.
  static func pageCache(_ line: ArraySlice<UInt8>) -> TextEvent? {
    guard let name = line.range(of: "mm_filemap_"),
      let colon = line[name.upperBound...].range(of: ": "),
      let device = field(line, "dev", colon.upperBound), let inode = field(line, "ino", device),
      let offset = line[inode...].range(of: " ofs=")?.upperBound,
      let file = identity(line[device...], line[inode...]),
      let first = line[offset...].number(radix: 10)
    else { return nil }
    var numbers = [first]
    let end = first.digits.upperBound
    if end < line.endIndex, line[end] == UInt8(ascii: "-"),
      let last = line[(end + 1)...].number(radix: 10)
    {
      numbers.append(last)
    }
    let places = numbers.map {
      Place(range: $0.digits, target: .offset($0.value, in: .identity(file)))
    }
    return tracepoint(line, name.lowerBound, colon.lowerBound, places)
  }

  /// A fault: `page_fault_user: address=0x7f7e11a23000 ip=0x55cd84475610 error_code=0x4`.
  ///
  /// Source: Linux `arch/x86/include/asm/trace/exceptions.h`, since 6.16 `include/trace/events/exceptions.h`.
  static func fault(_ line: ArraySlice<UInt8>) -> TextEvent? {
    guard let name = line.range(of: "page_fault_"),
      let colon = line[name.upperBound...].range(of: ": "),
      let start = field(line, "address", colon.upperBound),
      let address = line[start...].number(radix: 16)
    else { return nil }
    let place = Place(range: address.digits, target: .address(address.value))
    var event = tracepoint(line, name.lowerBound, colon.lowerBound, [place])
    if let code = line[colon.upperBound...].range(of: " error_code=")?.upperBound,
      let value = line[code...].number(radix: 16)?.value
    {
      event.access = KernelFault.access(errorCode: value)
    }
    return event
  }

  /// A sample of the software event: `page-faults:  7f598ad03000 [unknown] (/tmp/device)`, of `perf script -F +addr`.
  ///
  /// Without the address the first number is the instruction's, which lies in no mapping of a device.
  /// Source: Linux `tools/perf/builtin-script.c`, `perf_sample__fprintf_addr`; perf-list(1).
  static func sample(_ line: ArraySlice<UInt8>) -> TextEvent? {
    guard let name = line.range(of: "faults:") ?? line.range(of: "faults/"),
      let end = line[name.lowerBound...].words.first?.endIndex,
      let word = line[end...].words.first, let address = word.number(radix: 16),
      address.digits.upperBound == word.endIndex
    else { return nil }
    let first = wordStart(line, before: name.lowerBound)
    let place = Place(range: address.digits, target: .address(address.value))
    let text = line[first..<end].text
    return TextEvent(
      .perfScript, text.hasSuffix(":") ? String(text.dropLast()) : text, [place],
      header: TextHeader(line[..<first]))
  }

  /// `perf script` puts the system of an event in front of its name, tracefs does not.
  private static func tracepoint(
    _ line: ArraySlice<UInt8>, _ start: Int, _ end: Int, _ places: [Place]
  ) -> TextEvent {
    let isPerf = start > line.startIndex && line[start - 1] == UInt8(ascii: ":")
    let name = isPerf ? wordStart(line, before: start) : start
    return TextEvent(
      isPerf ? .perfScript : .ftrace, line[name..<end].text, places,
      header: TextHeader(line[..<name]))
  }

  private static func wordStart(_ line: ArraySlice<UInt8>, before place: Int) -> Int {
    line[..<place].lastIndex { $0 == 0x20 || $0 == 0x09 }.map { $0 + 1 } ?? line.startIndex
  }

  /// Where the value of a field begins, written with `=` or a blank behind its name.
  ///
  /// `perf script` fills up with blanks in front of the first field.
  private static func field(_ line: ArraySlice<UInt8>, _ name: StaticString, _ from: Int) -> Int? {
    guard let found = line[from...].range(of: name), found.upperBound < line.endIndex else {
      return nil
    }
    let separator = line[found.upperBound]
    guard separator == UInt8(ascii: "=") || separator == 0x20 else { return nil }
    return found.upperBound + 1
  }

  private static func identity(_ device: ArraySlice<UInt8>, _ inode: ArraySlice<UInt8>)
    -> FileIdentity?
  {
    guard let major = device.number(radix: 10), major.digits.upperBound < device.endIndex,
      device[major.digits.upperBound] == UInt8(ascii: ":"),
      let minor = device[(major.digits.upperBound + 1)...].number(radix: 10),
      let inode = inode.number(radix: 16), let first = UInt32(exactly: major.value),
      let second = UInt32(exactly: minor.value)
    else { return nil }
    return FileIdentity(major: first, minor: second, inode: inode.value)
  }
}
