/// Big-endian words in plain bytes, and fields in them by PPC bit numbers: bit 0 is the most significant.
public enum ReferenceFields {
  /// Reads a word.
  /// - Parameters:
  ///   - bytes: where.
  ///   - position: of its first byte.
  /// - Returns: the word.
  public static func word(_ bytes: [UInt8], at position: Int) -> UInt32 {
    var word: UInt32 = 0
    for byte in bytes[position..<position + 4] { word = word << 8 | UInt32(byte) }
    return word
  }

  /// Writes a word.
  /// - Parameters:
  ///   - word: the word.
  ///   - bytes: where.
  ///   - position: of its first byte.
  public static func setWord(_ word: UInt32, in bytes: inout [UInt8], at position: Int) {
    for index in 0..<4 { bytes[position + index] = UInt8(word >> UInt32(24 - 8 * index) & 0xff) }
  }

  /// Picks a field out of a word.
  /// - Parameters:
  ///   - bits: PPC bit numbers, 0 to 31.
  ///   - word: the word.
  /// - Returns: the field, right-justified.
  public static func field(_ bits: ClosedRange<Int>, of word: UInt32) -> UInt32 {
    var field: UInt32 = 0
    for bit in bits { field = field << 1 | word >> UInt32(31 - bit) & 1 }
    return field
  }

  /// Replaces a field.
  /// - Parameters:
  ///   - bits: PPC bit numbers, 0 to 31.
  ///   - word: the word.
  ///   - value: the field, right-justified; what does not fit is dropped.
  /// - Returns: the new word.
  public static func replacing(
    _ bits: ClosedRange<Int>, of word: UInt32, with value: UInt32
  ) -> UInt32 {
    var word = word
    for (place, bit) in bits.reversed().enumerated() {
      let mask: UInt32 = 1 << UInt32(31 - bit)
      word = value >> UInt32(place) & 1 == 1 ? word | mask : word & ~mask
    }
    return word
  }
}
