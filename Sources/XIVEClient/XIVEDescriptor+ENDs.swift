internal import CXIVE
internal import DeviceClient
internal import SystemPackage

/// Event notification descriptors word by word: group 0x51 of the device's ABI, `xive.h`.
extension XIVEDescriptor {
  /// Asks for an event notification descriptor.
  /// - Parameter index: see ``ENDWords/index(_:_:)``.
  /// - Returns: its words.
  /// - Throws: ``DeliveryError/end(_:_:)`` for one that the device does not have.
  public func end(at index: UInt32) throws(XIVEClientError) -> ENDWords {
    let answer = try rawEND(at: index)
    var result = ENDWords()
    unsafe withUnsafeBytes(of: answer) { bytes in
      for word in 0..<8 {
        result[word] = unsafe bytes.load(fromByteOffset: word * 4, as: UInt32.self)
      }
    }
    return result
  }

  /// Sets an event notification descriptor.
  /// - Parameters:
  ///   - index: see ``ENDWords/index(_:_:)``.
  ///   - words: its words; all zero disables it.
  /// - Throws: ``DeliveryError/end(_:_:)``: `EINVAL` for a queue that is not aligned to its size or not in guest
  ///   memory, and for logical servers; `E2BIG` for one that the device does not have.
  public func setEND(at index: UInt32, to words: ENDWords) throws(XIVEClientError) {
    var value = xive_end()
    unsafe withUnsafeMutableBytes(of: &value) { bytes in
      for word in 0..<8 {
        unsafe bytes.storeBytes(of: words[word], toByteOffset: word * 4, as: UInt32.self)
      }
    }
    try setEND(at: index, toRaw: value)
  }

  func rawEND(at index: UInt32) throws(XIVEClientError) -> xive_end {
    try device.get(XIVE_GROUP_END, UInt64(index)) { .delivery(.end(index, $0)) }
  }

  func setEND(at index: UInt32, toRaw end: xive_end) throws(XIVEClientError) {
    try device.set(XIVE_GROUP_END, UInt64(index), end) { .delivery(.end(index, $0)) }
  }
}
