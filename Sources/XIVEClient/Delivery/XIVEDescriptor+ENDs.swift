internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// Event notification descriptors word by word: group 0x51 of the device's ABI, `xive.h`.
///
/// For what ``XIVEDescriptor/configureQueue(_:_:at:from:)`` does not offer: coalescing, escalation, other sizes.
extension XIVEDescriptor {
  /// Asks for an event notification descriptor.
  /// - Parameter index: its number.
  /// - Returns: its words.
  /// - Throws: ``DeliveryError/end(_:_:)`` for one that the device does not have.
  public func end(at index: ENDIndex) throws(XIVEClientError) -> END {
    END(words: try endWords(at: index.rawValue))
  }

  /// Sets an event notification descriptor.
  /// - Parameters:
  ///   - index: its number.
  ///   - end: its words; all zero disables it.
  /// - Throws: ``DeliveryError/end(_:_:)``: `EINVAL` for a queue that is not aligned to its size or not in guest
  ///   memory, and for format 1; `E2BIG` for one that the device does not have.
  public func setEND(at index: ENDIndex, to end: END) throws(XIVEClientError) {
    try setEND(at: index.rawValue, to: end.words)
  }

  func endWords(at index: UInt32) throws(XIVEClientError) -> xive_end {
    try device.get(XIVE_GROUP_END, UInt64(index)) { .delivery(.end(index, $0)) }
  }

  func setEND(at index: UInt32, to words: xive_end) throws(XIVEClientError) {
    try device.set(XIVE_GROUP_END, UInt64(index), words) { .delivery(.end(index, $0)) }
  }
}

extension END {
  fileprivate init(words: xive_end) {
    self.init()
    (w0, w1, w2, w3, w4, w5, w6, w7) = words.word
  }

  fileprivate var words: xive_end { xive_end(word: (w0, w1, w2, w3, w4, w5, w6, w7)) }
}
