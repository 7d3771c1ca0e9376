internal import XIVEModel

extension MachineState {
  /// Reads a state from a file's bytes, all of which are checked: version, length, checksum, every section, every
  /// reserved field, every record. For a VMM that moves states by itself.
  /// - Parameter bytes: the file's contents.
  /// - Throws: ``StateFileError``.
  public init(fileBytes bytes: [UInt8]) throws(StateFileError) {
    try Self.checkFrame(bytes)
    let geometry = DeviceGeometry(
      sourceCount: bytes.number(at: 24), serverCount: bytes.number(at: 40),
      pageShift: bytes.number(at: 28), pagesPerSource: bytes.number(at: 32),
      supportsStoreEOI: bytes.number(at: 36, as: UInt32.self) == 1)
    guard bytes.number(at: 36, as: UInt32.self) <= 1 else {
      throw .inconsistent("geometry", "flags \(bytes.number(at: 36, as: UInt32.self))")
    }
    for offset in stride(from: 52, to: 64, by: 4) {
      try Self.checkZero(bytes.number(at: offset), "header, byte \(offset)")
    }
    let sections = try Self.sections(of: bytes)
    let sourceCount: UInt32 = bytes.number(at: 44)
    guard sections[2].count == Int(sourceCount) * StateFormat.Section.sources.stride else {
      throw .inconsistent("sources", "\(sections[2].count / 16) records of \(sourceCount) sources")
    }
    self.init(
      geometry: geometry, serverCount: bytes.number(at: 48),
      vps: try Self.records(sections[0], 24) { offset throws(StateFileError) in
        try VPRecord(bytes, at: offset)
      },
      ends: try Self.records(sections[1], 40) { offset throws(StateFileError) in
        try ENDRecord(bytes, at: offset)
      },
      sources: [SourceRecord](bytes[sections[2]], isLittleEndian: true))
    try check()
  }

  /// Checks magic and version, as far as they are there.
  static func checkHead(_ bytes: [UInt8]) throws(StateFileError) {
    guard bytes.starts(with: StateFormat.magic) else { throw .notAState }
    guard bytes.count >= 12 else { return }
    let version: UInt32 = bytes.number(at: 8)
    guard version == StateFormat.version else { throw .version(version) }
  }

  /// Checks magic, version, length and checksum.
  private static func checkFrame(_ bytes: [UInt8]) throws(StateFileError) {
    try checkHead(bytes)
    // What a file says of its own size may be cut off, too; then there is no state so small.
    let smallest = UInt64(StateFormat.smallest)
    let length = bytes.count < 24 ? smallest : max(smallest, bytes.number(at: 16))
    guard length == UInt64(bytes.count) else {
      throw .length(expected: length, found: UInt64(bytes.count))
    }
    let end = bytes.count - StateFormat.checksumByteCount
    let (expected, found) = (StateFormat.checksum(bytes[..<end]), bytes.number(at: end) as UInt32)
    guard found == expected else { throw .checksum(expected: expected, found: found) }
    let header: UInt32 = bytes.number(at: 12)
    guard header == StateFormat.headerByteCount else {
      throw .inconsistent("header", "\(header) bytes instead of \(StateFormat.headerByteCount)")
    }
  }

  /// Where the sections lie: one behind the other, and nothing else.
  private static func sections(of bytes: [UInt8]) throws(StateFileError) -> [Range<Int>] {
    var start = StateFormat.headerByteCount
    var result: [Range<Int>] = []
    for section in StateFormat.Section.allCases {
      let offset: UInt64 = bytes.number(at: section.place)
      let count: UInt64 = bytes.number(at: section.place + 8)
      guard offset == UInt64(start) else {
        throw .inconsistent(section.name, "at byte \(offset) instead of \(start)")
      }
      guard count <= UInt64(section.maximumCount) else {
        throw .inconsistent(section.name, "\(count), and at most \(section.maximumCount) can be")
      }
      let end = start + Int(count) * section.stride
      result.append(start..<end)
      start = end
    }
    guard start + StateFormat.checksumByteCount == bytes.count else {
      throw .inconsistent("sections", "end at byte \(start) of \(bytes.count)")
    }
    return result
  }

  private static func records<Record>(
    _ section: Range<Int>, _ stride: Int, _ record: (Int) throws(StateFileError) -> Record
  ) throws(StateFileError) -> [Record] {
    var result: [Record] = []
    result.reserveCapacity(section.count / stride)
    for offset in Swift.stride(from: section.lowerBound, to: section.upperBound, by: stride) {
      result.append(try record(offset))
    }
    return result
  }

  fileprivate static func checkZero(_ value: UInt32, _ place: String) throws(StateFileError) {
    guard value == 0 else { throw .inconsistent(place, "\(value), and is reserved") }
  }
}

extension VPRecord {
  fileprivate init(_ bytes: [UInt8], at offset: Int) throws(StateFileError) {
    let server: UInt32 = bytes.number(at: offset)
    for place in [4, 16, 20] {
      try MachineState.checkZero(bytes.number(at: offset + place), "vCPU of server \(server)")
    }
    self.init(
      server: Server(rawValue: server),
      w01: bytes.number(at: offset + 8, as: UInt64.self).byteSwapped)
  }
}

extension ENDRecord {
  fileprivate init(_ bytes: [UInt8], at offset: Int) throws(StateFileError) {
    let index: UInt32 = bytes.number(at: offset)
    guard ENDIndex(rawValue: index).rawValue == index else {
      throw .inconsistent("END \(index)", "is no number of an END")
    }
    try MachineState.checkZero(bytes.number(at: offset + 4), "END \(index)")
    var end = END()
    func word(_ number: Int) -> UInt32 { bytes.number(at: offset + 8 + 4 * number) }
    (end.w0, end.w1, end.w2, end.w3) = (word(0), word(1), word(2), word(3))
    (end.w4, end.w5, end.w6, end.w7) = (word(4), word(5), word(6), word(7))
    self.init(index: ENDIndex(rawValue: index), end: end)
  }
}
