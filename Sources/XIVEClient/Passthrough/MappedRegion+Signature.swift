public import SystemCalls
public import XIVEModel

extension MappedRegion {
  /// Reads the signature of a mapped page image: it tells which page is mapped, and of which moment.
  /// - Parameter pageOffset: byte offset in the mapping of the page's first 4 KiB.
  /// - Returns: the signature, or nil when there is none, as in a trapped window, where each load is an operation. A
  ///   hole raises `SIGBUS`.
  public func signature(ofPageAt pageOffset: Int) -> PageSignature? {
    guard !isTrapped else { return nil }
    return PageSignature(registers: .init { load(at: pageOffset + PageSignature.offset + $0 * 8) })
  }
}
