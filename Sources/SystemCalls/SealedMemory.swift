internal import CSystemCalls
public import SystemPackage

/// Memory that processes share by a descriptor (a `memfd`), mapped here for reading and writing.
///
/// Its size is sealed, so that nobody who has it mapped can be made to fault. Freed when the last descriptor
/// and the last mapping of any process have gone. Thread rule: as a ``MappedRegion``.
public struct SealedMemory: ~Copyable, Sendable {
  /// The descriptor to hand out.
  public let file: OwnedDescriptor
  /// The mapping.
  public let region: MappedRegion

  /// Creates memory of zeros; pages that nobody touches take no memory.
  /// - Parameters:
  ///   - name: what `/proc/self/maps` calls it.
  ///   - byteCount: bytes, more than 0.
  /// - Throws: the error of `memfd_create`, `ftruncate` or `mmap`.
  public init(_ name: String, byteCount: Int) throws(Errno) {
    // A negative size is none that a file may have.
    let size = UInt64(bitPattern: Int64(byteCount))
    let file = OwnedDescriptor(
      rawValue: try valueOrErrno(unsafe csystem_sealed_memory(name, size)))
    region = try MappedRegion(file, offset: 0, byteCount: byteCount, isWritable: true)
    self.file = file
  }

  /// Maps a part of memory that somebody else has created, sealed or not.
  /// - Parameters:
  ///   - descriptor: an open descriptor, which stays its owner's.
  ///   - offset: where the part begins, in bytes; a multiple of the system's page size.
  ///   - byteCount: bytes, more than 0.
  /// - Throws: the error of `fcntl` or `mmap`.
  public init(mapping descriptor: CInt, offset: UInt64, byteCount: Int) throws(Errno) {
    let file = try OwnedDescriptor(duplicating: descriptor)
    region = try MappedRegion(file, offset: offset, byteCount: byteCount, isWritable: true)
    self.file = file
  }
}

extension MappedRegion {
  /// Loads a big-endian word of 4 bytes that somebody else may be storing, before anything loaded after it.
  /// - Parameter offset: byte offset in the mapping, a multiple of 4.
  /// - Returns: the value.
  public func loadAcquiring(at offset: Int) -> UInt32 {
    precondition(offset >= 0 && offset + 4 <= byteCount && offset & 3 == 0)
    return unsafe csystem_load32_acquire(address + offset)
  }

  /// Stores a big-endian word of 4 bytes that somebody else may be loading, after everything stored before it.
  /// - Parameters:
  ///   - value: what to store.
  ///   - offset: byte offset in the mapping, a multiple of 4.
  public func storeReleasing(_ value: UInt32, at offset: Int) {
    precondition(offset >= 0 && offset + 4 <= byteCount && offset & 3 == 0)
    unsafe csystem_store32_release(address + offset, value)
  }
}
