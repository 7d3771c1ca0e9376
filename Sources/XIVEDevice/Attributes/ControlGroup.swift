internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 1, CTRL: reset, synchronization, the number of servers; set only.
///
/// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_reset`, `kvmppc_xive_native_eq_sync`;
/// `book3s_xive.c`, `kvmppc_xive_set_nr_servers`. Differs: EQ_SYNC marks no guest page as dirty, for the guest's memory
/// is shared with the VMM.
struct ControlGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool {
    (UInt64(KVM_DEV_XIVE_RESET)...UInt64(KVM_DEV_XIVE_NR_SERVERS)).contains(attribute)
  }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    switch attribute {
    case UInt64(KVM_DEV_XIVE_RESET): device.resetDelivery()
    case UInt64(KVM_DEV_XIVE_EQ_SYNC): device.synchronize()
    case UInt64(KVM_DEV_XIVE_NR_SERVERS): try device.setServerLimit(payload.read(UInt32.self))
    default: throw .noSuchAttribute
    }
    return nil
  }
}
