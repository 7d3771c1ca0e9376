/// A range of page offsets that decode to the same operation.
public struct ReferenceWindow: Hashable, Sendable {
  /// The page.
  public let page: VectorPage
  /// Load or store.
  public let access: VectorAccess
  /// Offsets, before any repetition.
  public let offsets: ClosedRange<UInt64>
  /// The operation; nil where nothing is architected.
  public let operation: ReferenceOperation?

  fileprivate init(
    _ page: VectorPage, _ access: VectorAccess, _ offsets: ClosedRange<UInt64>,
    _ operation: ReferenceOperation?
  ) {
    self.page = page
    self.access = access
    self.offsets = offsets
    self.operation = operation
  }
}

extension ReferenceTable {
  /// Which offsets mean what, for the 4 KiB that a page repeats.
  public static let windows: [ReferenceWindow] = [
    ReferenceWindow(.trigger, .load, 0x000...0xfff, nil),
    ReferenceWindow(.trigger, .store, 0x000...0xfff, .trigger),
    ReferenceWindow(.management, .load, 0x000...0x7ff, .loadEOI),
    ReferenceWindow(.management, .load, 0x800...0xbff, .get),
    ReferenceWindow(.management, .load, 0xc00...0xcff, .set00),
    ReferenceWindow(.management, .load, 0xd00...0xdff, .set01),
    ReferenceWindow(.management, .load, 0xe00...0xeff, .set10),
    ReferenceWindow(.management, .load, 0xf00...0xfff, .set11),
    ReferenceWindow(.management, .store, 0x000...0x3ff, .trigger),
    ReferenceWindow(.management, .store, 0x400...0x7ff, .storeEOI),
    ReferenceWindow(.management, .store, 0x800...0xbff, nil),
    ReferenceWindow(.management, .store, 0xc00...0xcff, .set00),
    ReferenceWindow(.management, .store, 0xd00...0xdff, .set01),
    ReferenceWindow(.management, .store, 0xe00...0xeff, .set10),
    ReferenceWindow(.management, .store, 0xf00...0xfff, .set11),
  ]

  /// Looks an offset up.
  /// - Parameters:
  ///   - page: the page.
  ///   - access: load or store.
  ///   - offset: a byte offset, repeating every 4 KiB.
  /// - Returns: the operation; nil where nothing is architected.
  public static func operation(
    _ page: VectorPage, _ access: VectorAccess, at offset: UInt64
  ) -> ReferenceOperation? {
    for window in windows where window.page == page && window.access == access {
      if window.offsets.contains(offset % 0x1000) { return window.operation }
    }
    return nil
  }
}
