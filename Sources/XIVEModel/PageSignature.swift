/// The last 64 bytes of every page image: which page this is, and of which moment.
///
/// Exists in images only; an exact load at the same offset is an operation. All fields are big-endian in
/// the image; see `struct xive_page_signature` in `xive.h`.
public struct PageSignature: Hashable, Sendable {
  /// What a page belongs to.
  public enum Backing: UInt32, Hashable, Sendable {
    /// The source's own page.
    case ipi = 0
    /// A passed-through PHB.
    case phb = 1
    /// A thread interrupt management area.
    case tima = 2
    /// An event notification descriptor.
    case end = 3
  }

  /// The first eight bytes: `XIVEPAGE`.
  public static let magic: UInt64 = 0x5849_5645_5041_4745
  /// Where in an image the signature begins.
  public static let offset = 0xfc0
  /// Which of its eight words say what the page belongs to.
  public static let backingWords = 2...3
  /// Which of its eight words is the generation.
  public static let generationWord = 4
  /// The source of a page that belongs to none.
  public static let noSource = UInt32.max

  /// The source, or ``noSource``.
  public var lisn = noSource
  /// 0 trigger, 1 management; for a TIMA page its view.
  public var half: UInt32 = 0
  /// What the page belongs to.
  public var backing: Backing
  /// The PHB that serves the page, or 0.
  public var phb: UInt32 = 0
  /// The PHB's interrupt; of a TIMA page its server, of an END page the END's index; or 0.
  public var hardwareIRQ: UInt32 = 0
  /// How often the source's backing had changed when the image was made, from 1; 0 for pages of no source.
  public var generation: UInt64 = 0
  /// The device offset that the image was asked for.
  public var deviceOffset: UInt64

  /// Creates a signature of a page that belongs to no source.
  /// - Parameters:
  ///   - backing: what the page belongs to.
  ///   - deviceOffset: byte offset of the device page.
  public init(backing: Backing, deviceOffset: UInt64) {
    self.backing = backing
    self.deviceOffset = deviceOffset
  }

  /// Reads a signature from the values of its eight big-endian words; nil when they are no signature.
  /// - Parameter registers: the words, as 8-byte loads give them.
  public init?(registers: InlineArray<8, UInt64>) {
    guard registers[0] == Self.magic, let backing = Backing(rawValue: UInt32(registers[2] >> 32))
    else { return nil }
    self.init(backing: backing, deviceOffset: registers[5])
    lisn = UInt32(registers[1] >> 32)
    half = UInt32(truncatingIfNeeded: registers[1])
    phb = UInt32(truncatingIfNeeded: registers[2])
    hardwareIRQ = UInt32(registers[3] >> 32)
    generation = registers[4]
  }

  /// The values of its eight big-endian words.
  public var registers: InlineArray<8, UInt64> {
    [
      Self.magic,
      UInt64(lisn) << 32 | UInt64(half),
      UInt64(backing.rawValue) << 32 | UInt64(phb),
      UInt64(hardwareIRQ) << 32,
      generation,
      deviceOffset,
      0,
      0,
    ]
  }
}
