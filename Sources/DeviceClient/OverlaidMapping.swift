internal import Synchronization
public import SystemCalls
internal import SystemPackage

/// A part of a device file, in the order of a file.
public struct FilePiece: Hashable, Sendable {
  /// Device offset, a multiple of the device page.
  public let offset: UInt64
  /// Bytes, a multiple of the device page.
  public let byteCount: Int

  /// Names a part of a device file.
  /// - Parameters:
  ///   - offset: device offset.
  ///   - byteCount: bytes.
  public init(offset: UInt64, byteCount: Int) {
    self.offset = offset
    self.byteCount = byteCount
  }
}

/// A mapping of a device file, parts of which show other parts of the same file for a while.
///
/// Each overlay takes one place of the mapping; lifting it brings the base back. Whoever loads or stores meanwhile
/// finds the base or the overlay, never a hole, for pages are exchanged in one step.
///
/// Costs one of the process's mappings for each piece that does not continue the one before, and up to one for
/// each place where an overlay once ended; the kernel's limit of them is `vm.max_map_count`. What was advised
/// (`madvise`) for the place of an overlay is forgotten. Plain mappings otherwise: a forked child has them too. Pieces of
/// a trapped mapping change all in one step.
///
/// Thread rule: safe from several threads at once; overlays are laid and lifted one at a time.
public struct OverlaidMapping: ~Copyable, Sendable {
  /// The pages.
  public let region: MappedRegion
  /// A descriptor of its own of the mapped file.
  public let device: DeviceDescriptor
  private let base: UInt64
  private let isWritable: Bool
  private let access: PageAccess
  private let places: Mutex<[Range<Int>]> = Mutex([])
  /// Given up where the process may not have more mappings, so that the base can be brought back.
  private let spare: Mutex<MappedRegion?>

  /// Maps pages of a device.
  /// - Parameters:
  ///   - device: the file; it need not stay open.
  ///   - offset: device offset, a multiple of the device page.
  ///   - byteCount: bytes, a multiple of the device page.
  ///   - isWritable: whether stores are allowed; as the descriptor was opened, unless told otherwise.
  ///   - access: what a load or a store through a pointer is.
  /// - Throws: ``DeviceClientError`` with offset and size.
  public init(
    _ device: borrowing DeviceDescriptor, offset: UInt64, byteCount: Int, isWritable: Bool? = nil,
    access: PageAccess = .mapped
  ) throws(DeviceClientError) {
    func named<Value: ~Copyable>(_ make: () throws(Errno) -> Value) throws(DeviceClientError)
      -> Value
    {
      do { return try make() } catch {
        throw .map(offset: offset, byteCount: byteCount, error)
      }
    }
    let region = try device.map(
      offset: offset, byteCount: byteCount, isWritable: isWritable, access: access)
    let spare = try named(MappedRegion.spare)
    let duplicate = try named { () throws(Errno) in try DeviceDescriptor(duplicating: device) }
    self.region = region
    self.device = duplicate
    self.spare = Mutex(spare)
    base = offset
    self.isWritable = isWritable ?? device.isWritable
    self.access = access
  }

  /// Where overlays are, as byte offsets in the mapping, in the order in which they were laid.
  var overlays: [Range<Int>] { places.withLock { $0 } }

  /// Lays parts of the file over a place of the mapping, all or nothing.
  /// - Parameters:
  ///   - pieces: what the place shows, one behind the other.
  ///   - position: byte offset in the mapping where the first piece goes.
  /// - Throws: ``OverlayError``.
  public func lay(_ pieces: [FilePiece], at position: Int) throws(OverlayError) {
    let place = try place(at: position, pieces)
    let pieces = pieces.joined
    try places.withLock { places throws(OverlayError) in
      if let other = places.first(where: { $0.overlaps(place) }) { throw .overlaps(other) }
      var laid = position..<position
      do throws(Errno) {
        // All of them at once, or one after the other.
        for step in access == .trapped ? [pieces] : pieces.map({ [$0] }) {
          try show(step, at: laid.upperBound)
          laid = position..<laid.upperBound + step.byteCount
        }
      } catch {
        do throws(Errno) { try restore(laid) } catch let second {
          places.append(place)
          throw .incomplete(second)
        }
        throw .system(error)
      }
      places.append(place)
    }
  }

  /// Brings the base back where an overlay is.
  /// - Parameter place: byte offsets in the mapping, exactly those of the overlay.
  /// - Throws: ``OverlayError/notLaid(_:)`` or ``OverlayError/system(_:)``.
  public func lift(_ place: Range<Int>) throws(OverlayError) {
    try places.withLock { places throws(OverlayError) in
      guard let index = places.firstIndex(of: place) else { throw .notLaid(place) }
      do throws(Errno) { try restore(place) } catch { throw .system(error) }
      places.remove(at: index)
    }
  }

  /// Brings the base back with a single mapping, however many pieces are there.
  private func restore(_ place: Range<Int>) throws(Errno) {
    guard !place.isEmpty else { return }
    let piece = FilePiece(offset: base + UInt64(place.lowerBound), byteCount: place.count)
    do { try show([piece], at: place.lowerBound) } catch .noMemory {
      // Beyond the limit the kernel refuses even a mapping that makes them fewer.
      spare.withLock { $0 = nil }
      try show([piece], at: place.lowerBound)
    }
    spare.withLock { if $0 == nil { $0 = try? .spare() } }
  }

  private func show(_ pieces: [FilePiece], at position: Int) throws(Errno) {
    guard access == .mapped else {
      return try TrapDevice(device).show(pieces, in: region, at: position, isWritable: isWritable)
    }
    var start = position
    for piece in pieces {
      let place = start..<start + piece.byteCount
      try region.show(in: place, device.file, offset: piece.offset, isWritable: isWritable)
      start = place.upperBound
    }
  }

  private func place(at position: Int, _ pieces: [FilePiece]) throws(OverlayError)
    -> Range<Int>
  {
    let page = device.pageByteCount
    let byteCount = pieces.reduce(0) { $0 &+ max($1.byteCount, 0) }
    let areWhole = pieces.allSatisfy {
      (1...region.byteCount).contains($0.byteCount) && $0.byteCount % page == 0
        && $0.offset % UInt64(page) == 0
    }
    guard areWhole, byteCount > 0, position >= 0, position % page == 0,
      byteCount <= region.byteCount, position <= region.byteCount - byteCount
    else { throw .place(byteOffset: position, byteCount: byteCount) }
    return position..<position + byteCount
  }
}

extension [FilePiece] {
  /// Bytes of all of them.
  fileprivate var byteCount: Int { reduce(0) { $0 + $1.byteCount } }

  /// One piece in place of those that continue each other: each costs a system call.
  var joined: [FilePiece] {
    reduce(into: []) { result, piece in
      guard let last = result.last, last.offset &+ UInt64(last.byteCount) == piece.offset else {
        result.append(piece)
        return
      }
      result[result.count - 1] = FilePiece(
        offset: last.offset, byteCount: last.byteCount + piece.byteCount)
    }
  }
}
