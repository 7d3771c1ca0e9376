internal import CSystemCalls
internal import PagedDevice

/// The memory of a thread that waits for the answer to its request.
///
/// The thread cannot end meanwhile, so that its number stays its own. Reading may fault on pages of the
/// device file itself, which another request thread then serves.
struct ProcessMemory: Caller {
  /// The thread as this process sees it; 0 when it lives in a process namespace that cannot be seen.
  let threadID: Int32

  func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    let count = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe csystem_read_process(threadID, bytes.baseAddress, byteCount, address)
    }
    guard threadID > 0, count == byteCount else { throw .badAddress }
    return bytes
  }

  func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) {
    let count = unsafe bytes.withUnsafeBytes { bytes in
      unsafe csystem_write_process(threadID, bytes.baseAddress, bytes.count, address)
    }
    guard threadID > 0, count == bytes.count else { throw .badAddress }
  }

  func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
    -> any SharedMemory
  {
    throw .notPermitted
  }

  func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool { throw .notPermitted }
}
