internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 2, SOURCE: creates a source and masks it; set only.
///
/// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_set_source`.
/// Differs: `E2BIG` begins at this device's number of sources, in the kernel always at 1,048,576;
/// `ENOMEM` and `ENXIO` for want of a block or of a hardware interrupt cannot happen.
struct SourceGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { device.source(attribute) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    guard let lisn = device.source(attribute) else { throw .outOfRange }
    // The block comes into being before the value is read, and stays when that fails, as in the kernel.
    device.sources.createBlock(of: lisn)
    let value = try payload.read(UInt64.self)
    try device.createSource(
      lisn,
      isLSI: value & UInt64(KVM_XIVE_LEVEL_SENSITIVE) != 0,
      isAsserted: value & UInt64(KVM_XIVE_LEVEL_ASSERTED) != 0)
    return nil
  }
}
