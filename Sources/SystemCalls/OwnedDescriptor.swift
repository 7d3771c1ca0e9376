internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// A file descriptor that is closed when its owner goes.
///
/// Thread rule: calls are as safe from several threads as the system calls that they make.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The descriptor's number; valid for as long as this value lives.
  public let rawValue: CInt

  /// Takes a descriptor over.
  /// - Parameter rawValue: an open descriptor that nobody else closes.
  public init(rawValue: CInt) { self.rawValue = rawValue }

  deinit { _ = close(rawValue) }

  /// How a file is opened.
  public struct Mode: OptionSet, Sendable {
    /// The shim's flag bits.
    public let rawValue: CInt
    /// Creates a mode from the shim's flag bits.
    public init(rawValue: CInt) { self.rawValue = rawValue }
    /// For writing as well as for reading.
    public static let readWrite = Mode(rawValue: CInt(CSYSTEM_READ_WRITE))
    /// Created, readable and writable for the owner alone, when missing.
    public static let create = Mode(rawValue: CInt(CSYSTEM_CREATE))
    /// Past the page cache: reads and writes reach the server as they are (`O_DIRECT`).
    public static let direct = Mode(rawValue: CInt(CSYSTEM_DIRECT))
  }

  /// Opens a file.
  /// - Parameters:
  ///   - path: where.
  ///   - mode: how; reading is always included.
  /// - Throws: the error of `open`.
  public init(opening path: String, _ mode: Mode) throws(Errno) {
    rawValue = try valueOrErrno(unsafe csystem_open(path, mode.rawValue, 0o600))
  }

  /// Makes another descriptor of an open file that somebody else owns; children do not inherit it by `exec`.
  /// - Parameter descriptor: an open descriptor.
  /// - Throws: the error of `fcntl`.
  public init(duplicating descriptor: CInt) throws(Errno) {
    rawValue = try valueOrErrno(csystem_duplicate(descriptor))
  }

  /// Makes another descriptor of the same open file.
  /// - Returns: a descriptor that children do not inherit by `exec`.
  /// - Throws: the error of `fcntl`.
  public func duplicate() throws(Errno) -> OwnedDescriptor {
    try OwnedDescriptor(duplicating: rawValue)
  }

  /// Reads at an offset: one system call, which is not repeated after a signal, for it may have taken effect.
  /// - Parameters:
  ///   - bytes: where to.
  ///   - offset: byte offset in the file.
  /// - Returns: the number of bytes read, 0 at the end of the file.
  /// - Throws: the error of `pread`.
  public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno)
    -> Int
  {
    unsafe try valueOrErrno(csystem_pread(rawValue, bytes.baseAddress, bytes.count, offset))
  }

  /// Writes at an offset: one system call, which is not repeated after a signal, for it may have taken effect.
  /// - Parameters:
  ///   - bytes: what.
  ///   - offset: byte offset in the file.
  /// - Returns: the number of bytes written.
  /// - Throws: the error of `pwrite`.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
    unsafe try valueOrErrno(csystem_pwrite(rawValue, bytes.baseAddress, bytes.count, offset))
  }

  /// Makes a control request.
  /// - Parameters:
  ///   - request: its number, with the payload's size encoded as Linux's `_IOC` does.
  ///   - payload: the argument's bytes; the answer is left in them.
  /// - Returns: what the call returned.
  /// - Precondition: the payload has at least the bytes that the number encodes, for so many may be written.
  /// - Throws: the error of `ioctl`.
  @discardableResult
  public func control(_ request: UInt32, _ payload: inout [UInt8]) throws(Errno) -> CInt {
    precondition(payload.count >= Int(request >> 16 & 0x3fff), "payload of request \(request)")
    let result = unsafe payload.withUnsafeMutableBytes { bytes in
      unsafe csystem_ioctl(rawValue, request, bytes.baseAddress)
    }
    return try valueOrErrno(result)
  }

  /// Finds the next data or hole.
  /// - Parameters:
  ///   - offset: byte offset to start from.
  ///   - hole: whether a hole is wanted rather than data.
  /// - Returns: where it begins.
  /// - Throws: `ENXIO` when there is none.
  public func seek(from offset: UInt64, toHole hole: Bool) throws(Errno) -> UInt64 {
    UInt64(
      try valueOrErrno(
        hole ? csystem_seek_hole(rawValue, offset) : csystem_seek_data(rawValue, offset)))
  }

  /// What the file says of itself.
  /// - Returns: inode's device, and block size in bytes.
  /// - Throws: the error of `fstat`.
  public func status() throws(Errno) -> FileStatus {
    var info = stat()
    guard unsafe fstat(rawValue, &info) == 0 else { throw Errno(rawValue: errno) }
    return FileStatus(info)
  }
}

/// The parts of `struct stat` that are used here.
public struct FileStatus: Sendable {
  /// Type and permission bits.
  public let mode: UInt32
  /// The owner.
  public let userID: UInt32
  /// The owner's group.
  public let groupID: UInt32
  /// The number of the file's mount.
  public let device: UInt64
  /// The same number's halves, as lists of mappings write them.
  public let deviceMajor: UInt32
  /// The second half.
  public let deviceMinor: UInt32
  /// The file's number in its file system.
  public let inode: UInt64
  /// The file's size in bytes.
  public let byteCount: Int64
  /// `st_blksize`: for a device file the bytes of a device page.
  public let blockByteCount: Int

  init(_ info: stat) {
    mode = info.st_mode
    userID = info.st_uid
    groupID = info.st_gid
    device = UInt64(info.st_dev)
    deviceMajor = csystem_device_major(device)
    deviceMinor = csystem_device_minor(device)
    inode = UInt64(info.st_ino)
    byteCount = Int64(info.st_size)
    blockByteCount = Int(info.st_blksize)
  }

  /// Whether it is a directory.
  public var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
  /// Whether it is a regular file.
  public var isRegularFile: Bool { mode & S_IFMT == S_IFREG }

  /// Asks for a path's status.
  /// - Parameter path: symbolic links are followed.
  /// - Throws: the error of `stat`.
  public init(ofPath path: String) throws(Errno) {
    var info = stat()
    guard unsafe stat(path, &info) == 0 else { throw Errno(rawValue: errno) }
    self.init(info)
  }
}
