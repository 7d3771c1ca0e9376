internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 4, EQ_CONFIG: a vCPU's event queue.
///
/// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_set_queue_config`,
/// `kvmppc_xive_native_get_queue_config`: where there is no queue, a get writes nothing.
struct QueueGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { true }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let value = try payload.read(xive_eq.self)
    let (server, priority) = try queue(attribute)
    try device.setQueue(
      of: server, priority, at: value.qaddr, shift: value.qshift, flags: value.flags,
      toggle: value.qtoggle, index: value.qindex)
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    let (server, priority) = try queue(attribute)
    let end = try device.queue(of: server, priority)
    guard end.isValid, end.isEnqueued else { return }
    var value = xive_eq()
    value.flags = end.notifiesAlways ? UInt32(KVM_XIVE_EQ_ALWAYS_NOTIFY) : 0
    value.qshift = end.queueShift
    value.qaddr = end.queueAddress
    value.qtoggle = end.generation
    value.qindex = end.queueIndex
    try payload.write(value)
  }

  /// Bits above 31 are ignored, as in the kernel.
  private func queue(_ attribute: UInt64) throws(DeviceError) -> (Server, Priority) {
    let server = (attribute & KVM_XIVE_EQ_SERVER_MASK) >> UInt64(KVM_XIVE_EQ_SERVER_SHIFT)
    let bits = UInt8(attribute & UInt64(KVM_XIVE_EQ_PRIORITY_MASK))
    guard let priority = Priority(rawValue: bits) else { throw .invalid }
    return (Server(rawValue: UInt32(server)), priority)
  }
}
