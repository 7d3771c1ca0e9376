internal import CFuse3
internal import Glibc
internal import PagedDevice

extension PageImage {
  /// The most parts that an image has on its way to the kernel.
  static let maximumPartCount = 3
  /// The lines of its own that it may have.
  static let maximumLineCount = 2

  /// Names the bytes of the image, in order: the body where it lies, head and tail from where they are copied to.
  /// - Parameters:
  ///   - parts: room for ``maximumPartCount``.
  ///   - lines: room for ``maximumLineCount``; used until the parts have been sent.
  /// - Returns: the number of parts.
  @unsafe
  func name(
    in parts: UnsafeMutablePointer<iovec>, lines: UnsafeMutablePointer<PageImage.Line>
  ) -> Int {
    var count = 0
    var start = 0
    if let head {
      unsafe lines[0] = head
      unsafe parts[0] = iovec(iov_base: lines, iov_len: Self.lineByteCount)
      start = Self.lineByteCount
      count = 1
    }
    let middle = unsafe UnsafeMutableRawPointer(mutating: body.baseAddress)
    unsafe parts[count] = iovec(
      iov_base: middle.map { unsafe $0 + start }, iov_len: body.count - start)
    count += 1
    guard unsafe body.count < Self.byteCount else { return count }
    unsafe lines[1] = tail
    unsafe parts[count] = iovec(iov_base: lines + 1, iov_len: Self.byteCount - body.count)
    return count + 1
  }
}
