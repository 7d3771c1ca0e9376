internal import SystemCalls
internal import SystemPackage

/// Guest RAM that a VMM shares with the device, which writes event queues into it.
///
/// Thread rule: safe from several threads; the device writes it at any time, so that only an ``EventQueue`` or
/// ``/SystemCalls/MappedRegion/loadAcquiring(at:)`` reads what it has written.
public final class GuestMemory: Sendable {
  private let memory: SealedMemory
  /// Where it begins in the file behind its descriptor, in bytes.
  public let fileOffset: UInt64

  /// Creates memory of zeros as a memfd of a sealed size; pages that nobody touches take no memory.
  /// - Parameter byteCount: bytes, more than 0; a multiple of the system's page size.
  /// - Throws: ``DeliveryError/guestMemory(byteCount:_:)``.
  public init(byteCount: Int) throws(XIVEClientError) {
    do { memory = try SealedMemory("xive-guest", byteCount: byteCount) } catch {
      throw .delivery(.guestMemory(byteCount: byteCount, error))
    }
    fileOffset = 0
  }

  /// Maps memory that the VMM has already. The device takes it only when it is a memfd sealed against shrinking.
  /// - Parameters:
  ///   - descriptor: an open descriptor of it, which stays the caller's to close.
  ///   - fileOffset: where in it the memory begins, in bytes; a multiple of the system's page size.
  ///   - byteCount: bytes, more than 0; a multiple of the system's page size.
  /// - Throws: ``DeliveryError/guestMemory(byteCount:_:)``.
  public init(mapping descriptor: CInt, fileOffset: UInt64 = 0, byteCount: Int)
    throws(XIVEClientError)
  {
    do {
      memory = try SealedMemory(mapping: descriptor, offset: fileOffset, byteCount: byteCount)
    } catch { throw .delivery(.guestMemory(byteCount: byteCount, error)) }
    self.fileOffset = fileOffset
  }

  /// Its bytes.
  public var byteCount: Int { memory.region.byteCount }

  /// The descriptor's number; valid for as long as this object lives.
  public var descriptor: CInt { memory.file.rawValue }

  /// Loads a big-endian word before anything that is loaded after it; the device may be storing it.
  /// - Parameter offset: byte offset, a multiple of 4.
  /// - Returns: the value.
  public func word(at offset: Int) -> UInt32 { memory.region.loadAcquiring(at: offset) }

  /// Stores a big-endian word after everything that was stored before it.
  /// - Parameters:
  ///   - value: what to store.
  ///   - offset: byte offset, a multiple of 4.
  public func setWord(_ value: UInt32, at offset: Int) {
    memory.region.storeReleasing(value, at: offset)
  }

  /// Where it is mapped, for a caller that keeps it alive itself.
  @unsafe
  public var address: UnsafeMutableRawPointer { unsafe memory.region.address }
}

/// A part of guest RAM that the device knows.
public struct MemorySlot: Hashable, Sendable {
  /// Its guest-physical address.
  public let address: UInt64
  /// Its bytes.
  public let byteCount: UInt64
  /// Where it begins in its memfd, in bytes.
  public let fileOffset: UInt64
}
