internal import SystemCalls

/// A mapped device page, and a place in it.
struct MappedPage: ~Copyable {
  let region: MappedRegion
  /// Byte offset in the page.
  let within: Int
}
