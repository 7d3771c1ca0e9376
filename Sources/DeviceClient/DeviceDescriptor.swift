public import SystemCalls
public import SystemPackage

/// An open device file: exact loads and stores, control requests, and mappings.
///
/// One descriptor serves them all; it is opened with `O_DIRECT`, so that each read is one load and each write
/// one store. Closed when its owner goes; mappings live on. Thread rule: safe from several threads at once.
public struct DeviceDescriptor: ~Copyable, Sendable {
  let file: OwnedDescriptor
  /// The device page's size in bytes.
  public let pageByteCount: Int
  /// Whether anything may be changed through it.
  public let isWritable: Bool

  /// Opens a device file.
  /// - Parameters:
  ///   - path: where it is served.
  ///   - isWritable: whether anything may be changed through it.
  /// - Throws: ``DeviceClientError/open(_:_:)``.
  public init(_ path: String, isWritable: Bool = true) throws(DeviceClientError) {
    let status = try Self.named(path) { () throws(Errno) in try FileStatus(ofPath: path) }
    // Before it is opened: that of a FIFO would wait for a writer.
    guard status.isRegularFile else { throw .notAFile(path) }
    let file = try Self.named(path) { () throws(Errno) in
      try OwnedDescriptor(opening: path, isWritable ? [.readWrite, .direct] : [.direct])
    }
    pageByteCount = try Self.named(path) { () throws(Errno) in try file.status().blockByteCount }
    self.file = file
    self.isWritable = isWritable
  }

  /// Makes another descriptor of the same open file; children do not inherit it by `exec`.
  /// - Parameter other: the descriptor; what the device keeps for it lasts until both are closed.
  /// - Throws: the error of `fcntl`.
  public init(duplicating other: borrowing DeviceDescriptor) throws(Errno) {
    file = try other.file.duplicate()
    pageByteCount = other.pageByteCount
    isWritable = other.isWritable
  }

  /// Gives an error of opening the path that it belongs to.
  private static func named<Value: ~Copyable>(
    _ path: String, _ body: () throws(Errno) -> Value
  ) throws(DeviceClientError) -> Value {
    do { return try body() } catch { throw .open(path, error) }
  }

  /// The descriptor's number, for `poll`, `epoll` and requests that name a descriptor; valid for as long as
  /// this value lives.
  public var rawValue: CInt { file.rawValue }

  /// Performs one exact load.
  ///
  /// Never repeated, whatever happens: a load can be an operation, and may have taken effect.
  /// - Parameters:
  ///   - offset: device offset.
  ///   - byteCount: the register's size, 1 to 8; the device has a say in it.
  /// - Returns: the register's value.
  /// - Throws: ``DeviceClientError/access(offset:_:)`` with the device's reason; `EIO` when the file gives
  ///   fewer bytes, as a file that is no device does.
  public func load(at offset: UInt64, byteCount: Int = 8) throws(DeviceClientError) -> UInt64 {
    precondition((1...8).contains(byteCount))
    var value: UInt64 = 0
    try access(offset, byteCount) { () throws(Errno) in
      try unsafe withUnsafeMutableBytes(of: &value) { bytes throws(Errno) in
        try unsafe file.read(into: .init(rebasing: bytes.suffix(byteCount)), at: offset)
      }
    }
    return UInt64(bigEndian: value)
  }

  /// Performs one exact store.
  /// - Parameters:
  ///   - value: the register's value; of a smaller register the low bytes.
  ///   - offset: device offset.
  ///   - byteCount: the register's size, 1 to 8; the device has a say in it.
  /// - Throws: ``DeviceClientError/access(offset:_:)`` with the device's reason; `EIO` when the file takes
  ///   fewer bytes.
  public func store(_ value: UInt64, at offset: UInt64, byteCount: Int = 8)
    throws(DeviceClientError)
  {
    precondition((1...8).contains(byteCount))
    try access(offset, byteCount) { () throws(Errno) in
      try unsafe withUnsafeBytes(of: value.bigEndian) { bytes throws(Errno) in
        try unsafe file.write(.init(rebasing: bytes.suffix(byteCount)), at: offset)
      }
    }
  }

  /// Makes one transfer, which is whole or an error.
  private func access(_ offset: UInt64, _ byteCount: Int, _ transfer: () throws(Errno) -> Int)
    throws(DeviceClientError)
  {
    let moved: Int
    do { moved = try transfer() } catch { throw .access(offset: offset, error) }
    guard moved == byteCount else { throw .access(offset: offset, .ioError) }
  }

  /// Waits until the device has something for this descriptor (`poll`): what that is, the device knows.
  /// - Parameter milliseconds: the longest wait; forever when negative.
  /// - Returns: whether it has; true also when the server has gone, false after a signal.
  public func wait(milliseconds: CInt = -1) -> Bool {
    Readiness.isReadable(rawValue, within: milliseconds)
  }

  /// Makes a control request.
  /// - Parameters:
  ///   - number: the request's number, with the payload's size encoded as Linux's `_IOC` does.
  ///   - payload: its bytes; the answer is left in them.
  /// - Returns: what the device returned.
  /// - Precondition: the payload has at least the bytes that the number encodes.
  /// - Throws: ``DeviceClientError/control(_:_:)`` with the device's reason.
  @discardableResult
  public func control(_ number: UInt32, _ payload: inout [UInt8]) throws(DeviceClientError) -> Int32
  {
    do { return try file.control(number, &payload) } catch { throw .control(number, error) }
  }

  /// How a mapping is made.
  public enum Sharing: Sendable {
    /// Stores reach the device and all who have it mapped.
    case shared
    /// Refused: the device would never hear of a store.
    case `private`
  }

  /// Maps pages of the device. Nothing is touched yet: a hole shows at the first touch, as `SIGBUS`, or as all ones in
  /// a trapped window.
  /// - Parameters:
  ///   - offset: device offset, a multiple of the device page.
  ///   - byteCount: bytes, a multiple of the device page.
  ///   - isWritable: whether stores are allowed; as the descriptor was opened, unless told otherwise.
  ///   - sharing: must be ``Sharing/shared``.
  ///   - access: what a load or a store through a pointer is.
  /// - Returns: the mapping. A trapped one acts as this descriptor, whatever hangs on it, and keeps the open file.
  /// - Throws: ``DeviceClientError`` with offset and size.
  public func map(
    offset: UInt64, byteCount: Int, isWritable: Bool? = nil, sharing: Sharing = .shared,
    access: PageAccess = .mapped
  ) throws(DeviceClientError) -> MappedRegion {
    guard sharing == .shared else { throw .privateMapping(offset: offset) }
    guard byteCount > 0, offset % UInt64(pageByteCount) == 0, byteCount % pageByteCount == 0 else {
      throw .unaligned(offset: offset, byteCount: byteCount)
    }
    let isWritable = isWritable ?? self.isWritable
    switch access {
    case .mapped:
      do {
        return try MappedRegion(file, offset: offset, byteCount: byteCount, isWritable: isWritable)
      } catch { throw .map(offset: offset, byteCount: byteCount, error) }
    case .trapped:
      do {
        let piece = FilePiece(offset: offset, byteCount: byteCount)
        return try TrapDevice(self).map(piece, isWritable: isWritable)
      } catch { throw .trap(offset: offset, byteCount: byteCount, error) }
    }
  }

  /// Lists the runs of pages that exist now, in ascending order.
  /// - Returns: device offsets.
  /// - Throws: ``DeviceClientError/segments(after:_:)``, such as `ENOTCONN` when the server has gone.
  public func segments() throws(DeviceClientError) -> [Range<UInt64>] {
    var result: [Range<UInt64>] = []
    var position: UInt64 = 0
    while let segment = try segment(after: position) {
      // Empty when the page has gone between the two questions that it takes.
      if !segment.isEmpty { result.append(segment) }
      position = segment.upperBound
    }
    return result
  }

  private func segment(after position: UInt64) throws(DeviceClientError) -> Range<UInt64>? {
    do {
      let start = try file.seek(from: position, toHole: false)
      let end = try file.seek(from: start, toHole: true)
      return start..<max(start, end)
    } catch .noSuchAddressOrDevice {
      return nil
    } catch { throw .segments(after: position, error) }
  }
}
