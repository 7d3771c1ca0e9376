internal import CSystemCalls
internal import SystemCalls
internal import SystemPackage

/// Reads a recorded file block by block, in as much memory as one block takes.
///
/// Thread rule: one thread at a time.
public struct TraceReader: ~Copyable {
  /// The file.
  public let path: String
  /// The device as it was when recording began.
  public let device: TracedDevice
  /// Where the file is damaged; known once ``next()`` has returned nil.
  public private(set) var damage: TraceFileDamage?
  private let file: OwnedDescriptor
  private let byteCount: UInt64
  private var position: UInt64
  private var recordCount = 0

  /// Opens a file, and reads what it says of the device.
  /// - Parameter path: the file.
  /// - Throws: ``TraceFileError``.
  public init(_ path: String) throws(TraceFileError) {
    let file = try Self.open(path)
    let byteCount = try Self.byteCount(file, path)
    let start = try Self.checkHead(file, path)
    let found = try Self.block(file, path, at: start, byteCount)
    guard case .whole(TraceFormat.Kind.device.rawValue, let bytes) = found,
      let device = TracedDevice(bytes)
    else { throw TraceFileError(path, .noDevice) }
    self.path = path
    self.file = file
    self.byteCount = byteCount
    self.device = device
    position = start + UInt64(TraceFormat.blockHeaderByteCount + bytes.count)
  }

  private static func open(_ path: String) throws(TraceFileError) -> OwnedDescriptor {
    do throws(Errno) {
      // Before it is opened: that of a FIFO would wait for a writer.
      let status = try FileStatus(ofPath: path)
      guard status.isRegularFile else {
        throw status.isDirectory ? .isDirectory : .invalidArgument
      }
      return try OwnedDescriptor(opening: path, [])
    } catch { throw TraceFileError(path, .reading(error)) }
  }

  /// Reads the next block.
  /// - Returns: the block, or nil at the end of what can be used.
  /// - Throws: ``TraceFileError/Reason/reading(_:)``.
  public mutating func next() throws(TraceFileError) -> TraceBlock? {
    while damage == nil, position < byteCount {
      switch try Self.block(file, path, at: position, byteCount) {
      case .truncated: stop(.truncated)
      case .corrupt: stop(.corrupt)
      case .whole(let kind, let bytes):
        if let known = TraceFormat.Kind(rawValue: kind) {
          guard let block = TraceBlock(known, bytes) else {
            stop(.corrupt)
            return nil
          }
          pass(bytes.count)
          if case .records(let records) = block { recordCount += records.count }
          return block
        }
        pass(bytes.count)
      }
    }
    return nil
  }

  private mutating func pass(_ count: Int) {
    position += UInt64(TraceFormat.blockHeaderByteCount + count)
  }

  private mutating func stop(_ kind: TraceFileDamage.Kind) {
    damage = TraceFileDamage(
      kind: kind, offset: position, recordCount: recordCount, lostByteCount: byteCount - position)
  }

  private static func byteCount(_ file: borrowing OwnedDescriptor, _ path: String)
    throws(TraceFileError) -> UInt64
  {
    do { return UInt64(max(0, try file.status().byteCount)) } catch {
      throw TraceFileError(path, .reading(error))
    }
  }

  /// Checks the file's first bytes.
  /// - Returns: where the first block begins.
  private static func checkHead(_ file: borrowing OwnedDescriptor, _ path: String)
    throws(TraceFileError) -> UInt64
  {
    let head = try bytes(file, path, at: 0, TraceFormat.headerByteCount)
    guard head.starts(with: TraceFormat.magic) else { throw TraceFileError(path, .notATrace) }
    var words = TraceBytes(head, from: TraceFormat.magic.count)
    guard let order: UInt32 = words.word(), let version: UInt32 = words.word() else {
      throw TraceFileError(path, .noDevice)
    }
    guard order == TraceFormat.byteOrderMark else {
      let isOther = order == TraceFormat.byteOrderMark.byteSwapped
      throw TraceFileError(path, isOther ? .byteOrder : .notATrace)
    }
    guard version == TraceFormat.version else { throw TraceFileError(path, .version(version)) }
    return UInt64(TraceFormat.headerByteCount)
  }

  /// What lies at a place of a file.
  private enum Found {
    case whole(kind: UInt32, [UInt8])
    case truncated
    case corrupt
  }

  private static func block(
    _ file: borrowing OwnedDescriptor, _ path: String, at position: UInt64, _ end: UInt64
  ) throws(TraceFileError) -> Found {
    let head = try bytes(file, path, at: position, TraceFormat.blockHeaderByteCount)
    var words = TraceBytes(head)
    guard let kind: UInt32 = words.word(), let count: UInt32 = words.word(),
      let checksum: UInt32 = words.word(), let zero: UInt32 = words.word()
    else { return .truncated }
    guard count <= TraceFormat.largestBlock, zero == 0 else { return .corrupt }
    let start = position + UInt64(TraceFormat.blockHeaderByteCount)
    // Asked before memory is taken: a length may be anything.
    guard start + UInt64(count) <= end else { return .truncated }
    let payload = try bytes(file, path, at: start, Int(count))
    guard payload.count == count else { return .truncated }
    guard TraceFormat.checksum(kind: kind, payload) == checksum else { return .corrupt }
    return .whole(kind: kind, payload)
  }

  /// Reads so many bytes, or fewer when the file ends.
  private static func bytes(
    _ file: borrowing OwnedDescriptor, _ path: String, at offset: UInt64, _ count: Int
  ) throws(TraceFileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let moved = unsafe bytes.withUnsafeMutableBytes { all in
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: all[done...])
        return unsafe csystem_pread(
          file.rawValue, rest.baseAddress, rest.count, offset + UInt64(done))
      }
      if moved == 0 { break }
      do { done += try valueOrErrno(moved) } catch .interrupted { continue } catch {
        throw TraceFileError(path, .reading(error))
      }
    }
    bytes.removeLast(count - done)
    return bytes
  }
}
