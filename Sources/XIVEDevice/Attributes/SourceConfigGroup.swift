internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 3, SOURCE_CONFIG: where a source's events go; set only.
///
/// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_set_source_config`. Differs: the whole
/// attribute is the source's number, of which the kernel looks at the low 32 bits.
struct SourceConfigGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { device.source(attribute) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let lisn = try device.createdSource(attribute)
    let value = try payload.read(UInt64.self)
    let priority = Priority(rawValue: UInt8(value & UInt64(KVM_XIVE_SOURCE_PRIORITY_MASK)))
    guard let priority, priority.rawValue < 7 else { throw .invalid }
    let server = (value & KVM_XIVE_SOURCE_SERVER_MASK) >> UInt64(KVM_XIVE_SOURCE_SERVER_SHIFT)
    try device.route(
      lisn, to: Server(rawValue: UInt32(server)), priority,
      eisn: EISN(rawValue: UInt32(value >> UInt64(KVM_XIVE_SOURCE_EISN_SHIFT))),
      isMasked: value & KVM_XIVE_SOURCE_MASKED_MASK != 0)
    return nil
  }
}

/// Group 5, SOURCE_SYNC: waits until a source's events have reached their queue; set only.
///
/// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_sync_source`.
struct SourceSyncGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { device.source(attribute) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    _ = try device.createdSource(attribute)
    device.synchronize()
    return nil
  }
}

extension XIVEDevice {
  /// The source that an attribute names: its block must exist (`ENOENT`), and it must have been created (`EINVAL`).
  fileprivate func createdSource(_ attribute: UInt64) throws(DeviceError) -> LISN {
    guard let lisn = source(attribute), sources.hasBlock(of: lisn) else { throw .notFound }
    guard backingWord(of: lisn) != nil else { throw .invalid }
    return lisn
  }
}
