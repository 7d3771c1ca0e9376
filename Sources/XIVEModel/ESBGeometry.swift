/// The shape of a source's ESB pages: `esb shift`, the logarithm of their bytes together.
///
/// Source: QEMU `include/hw/ppc/xive.h`, `XIVE_ESB_4K`, `XIVE_ESB_4K_2PAGE`, `XIVE_ESB_64K`,
/// `XIVE_ESB_64K_2PAGE`.
public enum ESBGeometry: UInt8, Hashable, Sendable, CaseIterable {
  /// One 4 KiB page, as the PSI bridge has.
  case one4K = 12
  /// A trigger and a management page of 4 KiB each.
  case two4K = 13
  /// One 64 KiB page, as a PHB has.
  case one64K = 16
  /// A trigger and a management page of 64 KiB each: the default for IPIs on hardware.
  case two64K = 17

  /// Creates the shape from the command line's two words.
  /// - Parameters:
  ///   - pageShift: logarithm of one page's bytes, 12 or 16.
  ///   - pageCount: pages a source, 1 or 2.
  public init?(pageShift: UInt8, pageCount: Int) {
    guard pageShift == 12 || pageShift == 16, pageCount == 1 || pageCount == 2 else { return nil }
    self.init(rawValue: pageShift + UInt8(pageCount - 1))
  }

  /// Pages a source: with one, that is the management page and there is no trigger page.
  public var pageCount: Int { rawValue & 1 == 0 ? 1 : 2 }

  /// Logarithm of one page's bytes: 12 or 16.
  public var pageShift: UInt8 { rawValue & ~1 }
}
