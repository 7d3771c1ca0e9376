import CFuse3
import Glibc
import SystemCalls
import Testing

@testable import DeviceFile

@Suite("The duty to answer")
struct ReplyTests {
  /// Everything that was written by a closure that is given a reply.
  private func written(_ spend: (consuming Reply, UnsafeMutablePointer<iovec>) -> Void) throws
    -> [UInt8]
  {
    var ends: [Int32] = [-1, -1]
    try #require(unsafe pipe(&ends) == 0)
    let output = OwnedDescriptor(rawValue: ends[0])
    let parts = UnsafeMutablePointer<iovec>.allocate(capacity: 4)
    defer { unsafe parts.deallocate() }
    do {
      let input = OwnedDescriptor(rawValue: ends[1])
      unsafe spend(Reply(to: 0x1234_5678_9abc, on: input.rawValue, unsafeParts: parts), parts)
    }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    var count = 0
    while true {
      let more = unsafe bytes.withUnsafeMutableBytes {
        unsafe read(output.rawValue, $0.baseAddress?.advanced(by: count), $0.count - count)
      }
      guard more > 0 else { return Array(bytes.prefix(count)) }
      count += more
    }
  }

  private func header(error: Int32, byteCount: Int) -> [UInt8] {
    rawBytes(
      fuse_out_header(len: UInt32(16 + byteCount), error: -error, unique: 0x1234_5678_9abc))
  }

  @Test("A forgotten reply answers EIO, once")
  func forgotten() throws {
    let bytes = try unsafe written { reply, _ in _ = consume reply }
    #expect(bytes == header(error: EIO, byteCount: 0))
  }

  @Test("A failure answers its error, once", arguments: [EINVAL, ENXIO, EBADF, ENOTTY])
  func failure(error: Int32) throws {
    let bytes = try unsafe written { reply, _ in reply.fail(error) }
    #expect(bytes == header(error: error, byteCount: 0))
  }

  @Test("Data answers its parts in order, once")
  func parts() throws {
    let first: [UInt8] = [1, 2, 3]
    let second = [UInt8](repeating: 9, count: 4_096)
    let bytes = try unsafe first.withUnsafeBytes { first in
      try unsafe second.withUnsafeBytes { second in
        try unsafe written { reply, parts in
          unsafe parts[1] = iovec(
            iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count)
          unsafe parts[2] = iovec(
            iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
          reply.send(partCount: 2, byteCount: first.count + second.count)
        }
      }
    }
    #expect(bytes == header(error: 0, byteCount: 4_099) + first + second)
  }

  @Test("A request that wants no answer gets none")
  func omitted() throws {
    #expect(try unsafe written { reply, _ in reply.omit() } == [])
  }
}
