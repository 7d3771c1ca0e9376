internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x42, HWIRQ: what the physical device behind a PHB's interrupt does, and the interrupt's state.
struct HardwareGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { (try? irq(attribute)) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let (phb, irq) = try irq(attribute)
    let value = try payload.read(xive_hwirq.self)
    guard let operation = HardwareOperation(rawValue: value.op), value.zero == 0 else {
      throw .invalid
    }
    return try device.perform(operation, on: irq, phb: phb)
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    let (phb, irq) = try irq(attribute)
    guard let state = device.state(of: irq, phb: phb) else { throw .notFound }
    var value = xive_hwirq_state()
    value.pq = UInt32(state.pq.rawValue)
    value.asserted = state.isAsserted ? 1 : 0
    try payload.write(value)
  }

  private func irq(_ attribute: UInt64) throws(DeviceError) -> (PHBIndex, HardwareIRQ) {
    guard let number = UInt16(exactly: attribute >> 32), let phb = PHBIndex(rawValue: number),
      let irq = UInt16(exactly: attribute & 0xffff_ffff)
    else { throw .notFound }
    return (phb, HardwareIRQ(rawValue: irq))
  }
}
