internal import CSystemCalls
public import SystemPackage

extension MappedRegion {
  /// Has a part of the mapping show another part of a file, shared.
  ///
  /// Others that load and store meanwhile see the old bytes or the new ones, never nothing: the kernel exchanges
  /// the pages in one step (`MAP_FIXED`). The mapping's end stays its owner's to unmap.
  /// - Parameters:
  ///   - place: byte offsets in the mapping, multiples of the system's page size.
  ///   - descriptor: the file.
  ///   - offset: byte offset in the file, a multiple of the system's page size.
  ///   - isWritable: whether stores are allowed there.
  /// - Throws: the error of `mmap`; the mapping is as it was then. `ENOMEM` at the limit of mappings that a
  ///   process may have, `vm.max_map_count`.
  public func show(
    in place: Range<Int>, _ descriptor: borrowing OwnedDescriptor, offset: UInt64, isWritable: Bool
  ) throws(Errno) {
    precondition(place.lowerBound >= 0 && place.upperBound <= byteCount && !place.isEmpty)
    let flags = isWritable ? CInt(CSYSTEM_WRITABLE) : 0
    let address = unsafe bytes.baseAddress.map { unsafe $0 + place.lowerBound }
    try valueOrErrno(
      unsafe csystem_map_over(descriptor.rawValue, offset, place.count, flags, address))
  }

  /// Maps a page that the kernel merges with no other: one that can be given up when there is no room for more.
  /// - Returns: a page of zeros for reading.
  /// - Throws: the error of `mmap`.
  public static func spare() throws(Errno) -> MappedRegion {
    try MappedRegion(-1, 0, 4_096, CInt(CSYSTEM_SHARED))
  }
}
