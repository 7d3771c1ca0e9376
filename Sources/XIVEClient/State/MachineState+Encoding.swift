internal import XIVEModel

extension MachineState {
  /// The state as a file's bytes: for a VMM that moves states by itself. Whether it can be is found when it is read.
  public var fileBytes: [UInt8] {
    let counts = [vps.count, ends.count, sources.count]
    let byteCount = fileByteCount
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    appendHeader(to: &bytes, byteCount: byteCount, counts)
    vps.forEach { $0.append(to: &bytes) }
    ends.forEach { $0.append(to: &bytes) }
    bytes += sources.bytes(isLittleEndian: true)
    bytes.append(littleEndian: StateFormat.checksum(bytes[...]))
    return bytes
  }

  /// The number of a file's bytes.
  public var fileByteCount: Int {
    let counts = [vps.count, ends.count, sources.count]
    return StateFormat.Section.allCases.reduce(StateFormat.smallest) {
      $0 + counts[$1.rawValue] * $1.stride
    }
  }

  private func appendHeader(to bytes: inout [UInt8], byteCount: Int, _ counts: [Int]) {
    bytes += StateFormat.magic
    bytes.append(littleEndian: StateFormat.version)
    bytes.append(littleEndian: UInt32(StateFormat.headerByteCount))
    bytes.append(littleEndian: UInt64(byteCount))
    let numbers = [
      geometry.sourceCount, geometry.pageShift, geometry.pagesPerSource,
      geometry.supportsStoreEOI ? 1 : 0, geometry.serverCount, UInt32(sources.count), serverCount,
      0, 0, 0,
    ]
    numbers.forEach { bytes.append(littleEndian: $0) }
    var offset = StateFormat.headerByteCount
    for section in StateFormat.Section.allCases {
      bytes.append(littleEndian: UInt64(offset))
      bytes.append(littleEndian: UInt64(counts[section.rawValue]))
      offset += counts[section.rawValue] * section.stride
    }
  }
}

extension VPRecord {
  /// Server, zero, and the register's 16 bytes as they are: big-endian, the second half unused.
  fileprivate func append(to bytes: inout [UInt8]) {
    bytes.append(littleEndian: server.rawValue)
    bytes.append(littleEndian: UInt32(0))
    bytes.append(littleEndian: w01.byteSwapped)
    bytes.append(littleEndian: UInt64(0))
  }
}

extension ENDRecord {
  /// Number, zero, and the eight words.
  fileprivate func append(to bytes: inout [UInt8]) {
    bytes.append(littleEndian: index.rawValue)
    bytes.append(littleEndian: UInt32(0))
    [end.w0, end.w1, end.w2, end.w3, end.w4, end.w5, end.w6, end.w7]
      .forEach { bytes.append(littleEndian: $0) }
  }
}
