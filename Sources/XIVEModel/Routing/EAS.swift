/// Where a source's events go: an event assignment structure.
///
/// The eight bytes as a big-endian register: valid in bit 63, the END in 59-32, masked in 31, data in 30-0.
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `XiveEAS`, `EAS_VALID`, `EAS_END_BLOCK`, `EAS_MASKED`.
public struct EAS: RawRepresentable, Hashable, Sendable {
  /// The register.
  public let rawValue: UInt64

  /// Creates a structure of its register.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Creates a valid structure.
  /// - Parameters:
  ///   - end: where events go.
  ///   - eisn: what they say there.
  ///   - isMasked: whether they are dropped instead.
  public init(to end: ENDIndex, eisn: EISN, isMasked: Bool = false) {
    rawValue =
      1 << 63 | UInt64(end.rawValue) << 32 | (isMasked ? 1 << 31 : 0) | UInt64(eisn.rawValue)
  }

  /// A source that nobody has told where to go.
  public static let invalid = EAS(rawValue: 0)
  /// A source whose events are dropped without a word.
  public static let masked = EAS(
    to: ENDIndex(rawValue: 0), eisn: EISN(rawValue: 0), isMasked: true)

  /// Whether the structure means anything.
  public var isValid: Bool { rawValue >> 63 == 1 }
  /// Whether events are dropped.
  public var isMasked: Bool { rawValue >> 31 & 1 == 1 }
  /// Where events go.
  public var end: ENDIndex { ENDIndex(rawValue: UInt32(truncatingIfNeeded: rawValue >> 32)) }
  /// What they say there.
  public var eisn: EISN { EISN(rawValue: UInt32(truncatingIfNeeded: rawValue)) }
}
