internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x44, ADDRESS: where the guest sees the TIMA and the ESB pages; for whoever asks, the device does not use it.
///
/// Source of the rules: Linux `Documentation/virt/kvm/devices/arm-vgic-v3.rst`, `KVM_DEV_ARM_VGIC_GRP_ADDR`.
struct AddressGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { attribute <= UInt64(XIVE_ADDRESS_ESB) }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    guard has(attribute) else { throw .noSuchAttribute }
    try device.setAddress(Int(attribute), to: payload.read(xive_address.self).address)
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    guard has(attribute), let address = device.address(Int(attribute)) else {
      throw .noSuchAttribute
    }
    try payload.write(xive_address(address: address))
  }
}
