internal import SystemCalls

/// A mapped device page, and a place in it.
struct MappedPage: ~Copyable {
  let region: MappedRegion
  /// Byte offset in the page.
  let within: Int

  /// The part of the device page, of the system's page size, in which the place is: what one fault fills.
  var faultRange: Range<Int> { within & ~4_095..<(within & ~4_095) + 4_096 }
}
