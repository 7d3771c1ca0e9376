internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x45, MEMORY: the guest's RAM, as memfds that the VMM shares.
struct MemoryGroup: AttributeGroup {
  unowned let device: XIVEDevice

  /// What addresses, sizes and offsets are a multiple of, in bytes: what memory can be mapped by.
  private static let granule: UInt64 = 4_096

  func has(_ attribute: UInt64) -> Bool { (try? slot(attribute)) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let slot = try slot(attribute)
    let value = try payload.read(xive_memory.self)
    guard value.zero == 0 else { throw .invalid }
    guard value.size > 0 else {
      try device.removeMemory(slot)
      return nil
    }
    let (end, overflow) = value.gpa.addingReportingOverflow(value.size)
    guard !overflow, end <= Self.addressLimit,
      (value.gpa | value.size | value.offset).isMultiple(of: Self.granule)
    else { throw .invalid }
    let caller = payload.caller
    try device.addMemory(slot, byteCount: value.size) { () throws(DeviceError) in
      let memory = try device.taking(from: caller) { () throws(DeviceError) in
        try caller.share(value.fd, offset: value.offset, byteCount: value.size)
      }
      return GuestMemory.Slot(
        guestAddress: value.gpa, byteCount: value.size, offset: value.offset, memory: memory)
    }
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    let part = try device.memory(try slot(attribute))
    var value = xive_memory()
    value.gpa = part.guestAddress
    value.size = part.byteCount
    value.fd = -1
    value.offset = part.offset
    try payload.write(value)
  }

  /// An END has room for 60 bits of an address.
  private static let addressLimit: UInt64 = 1 << 60

  private func slot(_ attribute: UInt64) throws(DeviceError) -> Int {
    guard attribute < UInt64(XIVE_MEMORY_SLOTS) else { throw .noSuchAttribute }
    return Int(attribute)
  }
}
