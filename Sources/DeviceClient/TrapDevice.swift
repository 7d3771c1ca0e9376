internal import CTrap
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// An open device file as trapped windows show it. Windows keep it open when the handle has gone.
@safe
struct TrapDevice: ~Copyable {
  // SAFETY: opened in `init`, closed in `deinit`; the library's calls are safe from any thread.
  private let device: OpaquePointer

  /// - Parameter descriptor: the open file; it need not stay open.
  /// - Throws: `ENOTSUP` on other processors than x86-64.
  init(_ descriptor: borrowing DeviceDescriptor) throws(Errno) {
    var device: OpaquePointer?
    try valueOrErrno(unsafe ctrap_device_open(descriptor.rawValue, &device))
    guard let device = unsafe device else { throw .notSupported }
    unsafe self.device = device
  }

  deinit { unsafe ctrap_device_close(device) }

  /// Makes a window on a part of the file.
  func map(_ piece: FilePiece, isWritable: Bool) throws(Errno) -> MappedRegion {
    var address: UnsafeMutableRawPointer?
    try valueOrErrno(
      unsafe ctrap_map(
        device, piece.offset, piece.byteCount, Self.protection(isWritable), &address))
    guard let address = unsafe address else { throw .noMemory }
    return unsafe MappedRegion(trapped: address, byteCount: piece.byteCount) {
      _ = unsafe ctrap_unmap($0, $1)
    }
  }

  /// Has a part of a window show other parts of the file, all in one step.
  func show(
    _ pieces: [FilePiece], in region: borrowing MappedRegion, at position: Int, isWritable: Bool
  ) throws(Errno) {
    let pieces = pieces.map { ctrap_piece(offset: $0.offset, length: $0.byteCount) }
    try valueOrErrno(
      unsafe ctrap_show(
        region.address + position, device, Self.protection(isWritable), pieces, pieces.count))
  }

  private static func protection(_ isWritable: Bool) -> CInt {
    isWritable ? PROT_READ | PROT_WRITE : PROT_READ
  }
}
