internal import CZlib

/// The layout of a recorded file, byte by byte: see the article Tracing.
enum TraceFormat {
  static let magic = Array("XIVETRCE".utf8)
  static let version: UInt32 = 1
  /// Tells whose byte order a file is in: as the bytes of this number lie.
  static let byteOrderMark: UInt32 = 0x0102_0304
  static let headerByteCount = 16
  /// The header of a block: kind, bytes behind the header, checksum, zero.
  static let blockHeaderByteCount = 16
  /// No block is larger, so that a damaged length does not have memory taken for it.
  static let largestBlock = 16 << 20

  /// What a block holds. One of a kind that this version does not know is passed over.
  enum Kind: UInt32 {
    case device = 1
    case records = 2
    case symbols = 3
  }

  /// CRC-32 as in zlib, of a block's kind and length and of what it holds.
  static func checksum(kind: UInt32, _ payload: [UInt8]) -> UInt32 {
    var head: [UInt8] = []
    head.append(word: kind)
    head.append(word: UInt32(payload.count))
    return checksum(payload, after: checksum(head, after: 0))
  }

  private static func checksum(_ bytes: [UInt8], after sum: UInt32) -> UInt32 {
    // An empty array may have no address, and for none zlib forgets the sum.
    if bytes.isEmpty { return sum }
    return unsafe bytes.withUnsafeBytes { bytes in
      let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return UInt32(truncatingIfNeeded: unsafe crc32_z(UInt(sum), start, bytes.count))
    }
  }
}

extension [UInt8] {
  /// Appends a number in the order of this machine.
  mutating func append(word: some FixedWidthInteger) {
    unsafe Swift.withUnsafeBytes(of: word) { unsafe append(contentsOf: $0) }
  }
}

/// Reads numbers and text in the order of this machine; nil for what lies beyond the end.
struct TraceBytes {
  private let bytes: [UInt8]
  private var position: Int

  init(_ bytes: [UInt8], from position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  /// Bytes that have not been read.
  var left: Int { bytes.count - position }

  /// Reads a number.
  mutating func word<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type = Number.self
  ) -> Number? {
    let size = MemoryLayout<Number>.size
    guard left >= size else { return nil }
    defer { position += size }
    return unsafe bytes.withUnsafeBytes { all in
      unsafe all.loadUnaligned(fromByteOffset: position, as: Number.self)
    }
  }

  /// Reads text of so many bytes; what is no UTF-8 becomes U+FFFD.
  mutating func text(_ count: Int) -> String? {
    guard count >= 0, left >= count else { return nil }
    defer { position += count }
    return String(decoding: bytes[position..<position + count], as: UTF8.self)
  }
}
