internal import PagedDevice
internal import XIVEModel

/// The prebuilt images: all ones, but for PQ in every slot of 800-bff of a management page.
struct ImageBodies {
  /// Bytes from 000 that belong to the body; the signature follows.
  static let byteCount = 0xfc0
  /// The window in which a management page shows PQ.
  static let pqWindow = 0x800..<0xc00

  /// The bodies of all devices: they are never freed, and alike.
  static let shared = ImageBodies()

  /// A page without readable state: a trigger page, a TIMA without a vCPU.
  let blank = PageBody(repeating: 0xff)
  private let management: InlineArray<4, PageBody> = .init { bits in
    let body = PageBody(repeating: 0xff)
    for offset in stride(from: pqWindow.lowerBound, to: pqWindow.upperBound, by: 8) {
      body.store(UInt64(bits).bigEndian, at: offset)
    }
    return body
  }

  /// The body of a management page in a state; nil is no state: all ones.
  func management(_ pq: PQ?) -> PageBody { pq.map { management[Int($0.rawValue)] } ?? blank }

  /// The bytes of the PQ window in a state.
  func pqBytes(_ pq: PQ?) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: management(pq).bytes[Self.pqWindow])
  }
}
