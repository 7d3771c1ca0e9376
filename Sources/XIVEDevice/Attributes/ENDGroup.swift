internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x51, END: the ENDs as firmware writes them, for what group 4 does not offer.
struct ENDGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { (try? end(attribute)) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let index = try end(attribute)
    try device.setEND(at: index, to: END(words: payload.read(xive_end.self)))
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    try payload.write(device.router.end(at: try end(attribute)).words)
  }

  private func end(_ attribute: UInt64) throws(DeviceError) -> ENDIndex {
    let index = UInt32(exactly: attribute).flatMap { number in
      number < 1 << 28 ? ENDIndex(rawValue: number) : nil
    }
    guard let index, device.router.contains(index) else { throw .outOfRange }
    return index
  }
}

extension END {
  /// Creates one of its words.
  fileprivate init(words: xive_end) {
    self.init()
    (w0, w1, w2, w3, w4, w5, w6, w7) = words.word
  }

  /// Its words.
  fileprivate var words: xive_end {
    xive_end(word: (w0, w1, w2, w3, w4, w5, w6, w7))
  }
}
