internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x40, PHB: adds and removes a PHB, and tells its shape.
struct PHBGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { (try? index(attribute)) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let index = try index(attribute)
    let value = try payload.read(xive_phb.self)
    guard value.flags & ~XIVE_PHB_STORE_EOI == 0, value.mapped == 0 else { throw .invalid }
    let shape = PHBShape(
      msiCount: value.nr_msis, lsiCount: value.nr_lsis,
      supportsStoreEOI: value.flags & XIVE_PHB_STORE_EOI != 0)
    guard shape.irqCount > 0 || shape.supportsStoreEOI else {
      return try device.removePHB(index)
    }
    try device.addPHB(index, shape)
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    guard let (shape, mappedCount) = device.phb(try index(attribute)) else { throw .notFound }
    var value = xive_phb()
    value.nr_msis = shape.msiCount
    value.nr_lsis = shape.lsiCount
    value.flags = shape.supportsStoreEOI ? XIVE_PHB_STORE_EOI : 0
    value.mapped = UInt32(mappedCount)
    try payload.write(value)
  }

  private func index(_ attribute: UInt64) throws(DeviceError) -> PHBIndex {
    guard let number = UInt16(exactly: attribute), let index = PHBIndex(rawValue: number) else {
      throw .noSuchAttribute
    }
    return index
  }
}
