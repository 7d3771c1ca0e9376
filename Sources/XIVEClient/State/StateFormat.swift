internal import CZlib

/// The layout of a saved state, byte by byte: see the article Saved-State.
enum StateFormat {
  static let magic = Array("XIVESAVE".utf8)
  static let version: UInt32 = 1
  static let headerByteCount = 112
  static let checksumByteCount = 4
  /// The smallest and the largest file that there can be.
  static let smallest = headerByteCount + checksumByteCount
  static let largest = smallest + Section.allCases.reduce(0) { $0 + $1.maximumCount * $1.stride }

  /// The runs of records, in their order.
  enum Section: Int, CaseIterable {
    case vps, ends, sources

    /// Bytes of a record.
    var stride: Int { [24, 40, 16][rawValue] }
    /// The most records that a device can have.
    var maximumCount: Int { [16_384, 131_072, 1_048_576][rawValue] }
    /// Where the header tells offset and count.
    var place: Int { 64 + 16 * rawValue }
    var name: String { ["vCPUs", "ENDs", "sources"][rawValue] }
  }

  /// CRC-32 as in zlib, gzip and PNG.
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    unsafe bytes.withUnsafeBytes { bytes in
      let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return UInt32(truncatingIfNeeded: unsafe crc32_z(0, start, bytes.count))
    }
  }
}

extension [UInt8] {
  /// Appends a number, its lowest byte first.
  mutating func append(littleEndian value: some FixedWidthInteger) {
    unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
  }

  /// A number whose lowest byte comes first.
  /// - Precondition: it lies in the array.
  func number<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as: Number.Type = Number.self
  ) -> Number {
    precondition(offset >= 0 && count - offset >= MemoryLayout<Number>.size)
    return unsafe withUnsafeBytes { bytes in
      Number(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
  }
}

extension [SourceRecord] {
  /// Creates records of their bytes.
  /// - Precondition: whole records.
  init(_ bytes: ArraySlice<UInt8>, isLittleEndian: Bool) {
    let stride = MemoryLayout<SourceRecord>.stride
    precondition(bytes.count % stride == 0)
    let count = bytes.count / stride
    unsafe self.init(unsafeUninitializedCapacity: count) { records, initialized in
      unsafe bytes.withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(records).copyMemory(from: $0)
      }
      initialized = count
    }
    if isLittleEndian { swapUnlessLittleEndian() }
  }

  /// The records' bytes.
  func bytes(isLittleEndian: Bool) -> [UInt8] {
    var records = self
    if isLittleEndian { records.swapUnlessLittleEndian() }
    return unsafe records.withUnsafeBytes { unsafe [UInt8]($0) }
  }

  /// Nothing to do on most machines, and the same both ways.
  private mutating func swapUnlessLittleEndian() {
    guard 1.littleEndian != 1 else { return }
    for index in indices {
      self[index] = SourceRecord(
        configuration: self[index].configuration.byteSwapped,
        flags: self[index].flags.byteSwapped)
    }
  }
}
