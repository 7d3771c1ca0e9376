internal import CFuse3
internal import CSystemCalls
internal import Glibc
internal import PagedDevice

extension Session {
  /// Puts the images of a range's pages into the page cache, so that the first touch finds them there.
  ///
  /// What a device has no page for is left out. Runs of pages leave in one message, straight from the images.
  /// A store that a consumer makes to such a page meanwhile may be covered. By the notifier's thread.
  /// Source: Linux `fs/fuse/dev.c`, `fuse_notify_store`: pages that are covered whole become up to date.
  /// - Parameters:
  ///   - range: byte offsets.
  ///   - device: whose images.
  ///   - sent: called with each run of pages that has left.
  func fill(
    _ range: Range<UInt64>, from device: any PagedDevice, sent: (Range<UInt64>) -> Void
  ) {
    let pages = PagePush()
    func send() { if let run = pages.send(to: self) { sent(run) } }
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: PageImage.byteCount) {
      guard let image = try? device.image(at: offset) else {
        send()
        continue
      }
      if pages.isFull { send() }
      cachedPages.add(offset)
      pages.append(image, at: offset)
    }
    send()
  }
}

/// One message of consecutive pages on its way to the kernel.
@safe
private final class PagePush {
  // SAFETY: allocated in `init`, freed in `deinit`, used by one thread.
  private let parts: UnsafeMutablePointer<iovec>
  private let lines: UnsafeMutablePointer<PageImage.Line>
  private var start: UInt64 = 0
  private var pageCount = 0
  private var partCount = 0

  /// Keeps a message well below the number of parts that the system takes.
  private static let capacity = 128
  /// The parts of the two headers.
  private static let headerParts = 2

  init() {
    unsafe parts = .allocate(
      capacity: Self.headerParts + PageImage.maximumPartCount * Self.capacity)
    unsafe lines = .allocate(capacity: PageImage.maximumLineCount * Self.capacity)
  }

  deinit {
    unsafe parts.deallocate()
    unsafe lines.deallocate()
  }

  var isFull: Bool { pageCount == Self.capacity }

  func append(_ image: PageImage, at offset: UInt64) {
    if pageCount == 0 { start = offset }
    partCount += unsafe image.name(
      in: parts + Self.headerParts + partCount,
      lines: lines + pageCount * PageImage.maximumLineCount)
    pageCount += 1
  }

  /// Sends what there is, and tells what that was, if there is anything.
  func send(to session: Session) -> Range<UInt64>? {
    guard pageCount > 0 else { return nil }
    let byteCount = pageCount * PageImage.byteCount
    var store = fuse_notify_store_out()
    store.nodeid = UInt64(FUSE_ROOT_ID)
    store.offset = start
    store.size = UInt32(byteCount)
    var header = fuse_out_header()
    let headers = MemoryLayout<fuse_out_header>.size + MemoryLayout<fuse_notify_store_out>.size
    header.len = UInt32(headers + byteCount)
    header.error = Int32(FUSE_NOTIFY_STORE.rawValue)
    unsafe withUnsafeMutableBytes(of: &header) { header in
      unsafe withUnsafeMutableBytes(of: &store) { store in
        unsafe parts[0] = iovec(iov_base: header.baseAddress, iov_len: header.count)
        unsafe parts[1] = iovec(iov_base: store.baseAddress, iov_len: store.count)
        // It fails only when the file is unmounted: nobody is left to touch it.
        _ = unsafe csystem_writev(
          fuse_session_fd(session.pointer), parts, CInt(Self.headerParts + partCount))
      }
    }
    pageCount = 0
    partCount = 0
    return start..<start + UInt64(byteCount)
  }
}
