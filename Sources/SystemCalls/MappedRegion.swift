internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// A mapping of a file or of fresh memory that is unmapped when its owner goes.
///
/// Thread rule: the mapping may be used from any thread; only one may unmap it.
@safe
public struct MappedRegion: ~Copyable, @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): mapped in `init`, unmapped in `deinit`, never changed in between.
  private let base: UnsafeMutableRawPointer
  /// Bytes mapped.
  public let byteCount: Int
  /// Whether each load and store is an operation, of registers that are no memory.
  public let isTrapped: Bool
  private let unmap: @convention(c) (UnsafeMutableRawPointer, Int) -> Void

  /// Maps part of a file, shared.
  /// - Parameters:
  ///   - descriptor: the file.
  ///   - offset: byte offset, a multiple of the system's page size.
  ///   - byteCount: bytes to map.
  ///   - isWritable: whether stores are allowed.
  /// - Throws: the error of `mmap`.
  public init(
    _ descriptor: borrowing OwnedDescriptor, offset: UInt64, byteCount: Int, isWritable: Bool
  ) throws(Errno) {
    let flags = CInt(CSYSTEM_SHARED) | (isWritable ? CInt(CSYSTEM_WRITABLE) : 0)
    try self.init(descriptor.rawValue, offset, byteCount, flags)
  }

  /// Maps fresh memory of zeros; pages that nobody touches take no memory.
  /// - Parameter byteCount: bytes to map.
  /// - Throws: the error of `mmap`.
  public init(zeroedByteCount byteCount: Int) throws(Errno) {
    try self.init(-1, 0, byteCount, CInt(CSYSTEM_WRITABLE))
  }

  init(_ fd: CInt, _ offset: UInt64, _ byteCount: Int, _ flags: CInt) throws(Errno) {
    var address: UnsafeMutableRawPointer?
    try valueOrErrno(unsafe csystem_map(fd, offset, byteCount, flags, &address))
    guard let address = unsafe address else { throw Errno.noMemory }
    unsafe base = address
    self.byteCount = byteCount
    isTrapped = false
    unsafe unmap = { address, byteCount in _ = unsafe munmap(address, byteCount) }
  }

  /// Takes over a mapping whose touches somebody else turns into operations.
  /// - Parameters:
  ///   - address: where it begins; nobody else unmaps it.
  ///   - byteCount: its bytes.
  ///   - unmap: unmaps it when its owner goes.
  @unsafe
  public init(
    trapped address: UnsafeMutableRawPointer, byteCount: Int,
    unmap: @escaping @convention(c) (UnsafeMutableRawPointer, Int) -> Void
  ) {
    unsafe base = address
    self.byteCount = byteCount
    isTrapped = true
    unsafe self.unmap = unmap
  }

  deinit { unsafe unmap(base, byteCount) }

  /// The mapped bytes. A touch may end in `SIGBUS`; registers are touched by ``load(at:)`` and ``store(_:at:)``.
  @unsafe
  public var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }

  /// Where the mapping begins, for a caller that keeps it alive itself.
  @unsafe
  public var address: UnsafeMutableRawPointer { unsafe base }

  /// Loads a big-endian register of 8 bytes.
  /// - Parameter offset: byte offset in the mapping, a multiple of 8.
  /// - Returns: the value.
  public func load(at offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset + 8 <= byteCount && offset & 7 == 0)
    return unsafe csystem_load64(base + offset)
  }

  /// Stores a big-endian register of 8 bytes.
  /// - Parameters:
  ///   - value: what to store.
  ///   - offset: byte offset in the mapping, a multiple of 8.
  public func store(_ value: UInt64, at offset: Int) {
    precondition(offset >= 0 && offset + 8 <= byteCount && offset & 7 == 0)
    unsafe csystem_store64(base + offset, value)
  }

  /// Waits until stores to the mapping have reached the file (`msync` with `MS_SYNC`).
  /// - Throws: the error of `msync`.
  public func synchronize() throws(Errno) {
    guard unsafe msync(base, byteCount, MS_SYNC) == 0 else { throw Errno(rawValue: errno) }
  }

  /// What became of a careful load.
  public enum Probe: Hashable, Sendable {
    /// The register's value.
    case value(UInt64)
    /// A signal (`SIGBUS` for a hole) and the byte offset in the mapping that it named.
    case fault(signal: Int32, offset: Int)
  }

  /// Loads a register where there may be none.
  ///
  /// Thread rule: replaces the process's handler of SIGBUS while it runs; one thread at a time.
  /// - Parameter offset: byte offset in the mapping, a multiple of 8.
  /// - Returns: the value or the fault.
  public func probe(at offset: Int) -> Probe {
    precondition(offset >= 0 && offset + 8 <= byteCount && offset & 7 == 0)
    var value: UInt64 = 0
    var fault: UnsafeRawPointer?
    let signal = unsafe csystem_probe64(base + offset, &value, &fault)
    guard signal != 0 else { return .value(value) }
    return .fault(signal: signal, offset: unsafe Int(bitPattern: fault) - Int(bitPattern: base))
  }
}
