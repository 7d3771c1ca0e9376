internal import CSystemCalls
internal import Glibc
internal import SystemCalls
internal import SystemPackage
public import TraceRecords

/// A recorded file that grows: each block is in it when its call returns, so that it can be read at any time.
///
/// Thread rule: one thread at a time.
public struct TraceWriter: ~Copyable {
  /// Where.
  public let path: String
  /// Bytes written.
  public private(set) var byteCount: UInt64
  private let file: OwnedDescriptor

  /// Creates the file, for its owner alone, and writes what is known of the device.
  /// - Parameters:
  ///   - path: where; a file that is there is replaced by what is recorded.
  ///   - device: what is traced.
  /// - Throws: ``TraceFileError``, for a place that is no regular file, too.
  public init(_ path: String, _ device: TracedDevice) throws(TraceFileError) {
    let file = try Self.named(path)
    var head = TraceFormat.magic
    head.append(word: TraceFormat.byteOrderMark)
    head.append(word: TraceFormat.version)
    head += Self.block(.device, device.encoded)
    try Self.write(head, to: file, path, at: 0)
    self.path = path
    self.file = file
    byteCount = UInt64(head.count)
  }

  private static func named(_ path: String) throws(TraceFileError) -> OwnedDescriptor {
    do { return try create(path) } catch { throw TraceFileError(path, .writing(error)) }
  }

  private static func create(_ path: String) throws(Errno) -> OwnedDescriptor {
    // Before it is opened: that of a FIFO would wait for a reader.
    if let status = try? FileStatus(ofPath: path), !status.isRegularFile {
      throw status.isDirectory ? .isDirectory : .invalidArgument
    }
    let file = try OwnedDescriptor(opening: path, [.readWrite, .create])
    guard ftruncate(file.rawValue, 0) == 0 else { throw Errno(rawValue: errno) }
    return file
  }

  /// Appends records.
  /// - Parameter records: in the order of the stream.
  /// - Throws: ``TraceFileError``, such as for a full disk; what was written before can be read.
  public mutating func append(_ records: [TraceRecord]) throws(TraceFileError) {
    let most = TraceFormat.largestBlock / TraceRecord.byteCount
    var rest = records[...]
    while !rest.isEmpty {
      try append(.records(Array(rest.prefix(most))))
      rest = rest.dropFirst(most)
    }
  }

  /// Appends names of a process's instructions.
  /// - Parameters:
  ///   - symbols: names by address.
  ///   - process: the process's id.
  /// - Throws: ``TraceFileError``.
  public mutating func append(symbols: [UInt64: String], of process: UInt32)
    throws(TraceFileError)
  {
    try append(.symbols(processID: process, symbols))
  }

  private mutating func append(_ block: TraceBlock) throws(TraceFileError) {
    let (kind, bytes) = block.encoded
    try write(Self.block(kind, bytes))
  }

  private static func block(_ kind: TraceFormat.Kind, _ payload: [UInt8]) -> [UInt8] {
    var block: [UInt8] = []
    block.reserveCapacity(TraceFormat.blockHeaderByteCount + payload.count)
    block.append(word: kind.rawValue)
    block.append(word: UInt32(payload.count))
    block.append(word: TraceFormat.checksum(kind: kind.rawValue, payload))
    block.append(word: UInt32(0))
    return block + payload
  }

  private mutating func write(_ bytes: [UInt8]) throws(TraceFileError) {
    try Self.write(bytes, to: file, path, at: byteCount)
    byteCount += UInt64(bytes.count)
  }

  private static func write(
    _ bytes: [UInt8], to file: borrowing OwnedDescriptor, _ path: String, at offset: UInt64
  ) throws(TraceFileError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { all in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: all[done...])
        return unsafe csystem_pwrite(
          file.rawValue, rest.baseAddress, rest.count, offset + UInt64(done))
      }
      do { done += try valueOrErrno(count) } catch .interrupted { continue } catch {
        throw TraceFileError(path, .writing(error))
      }
    }
  }
}
