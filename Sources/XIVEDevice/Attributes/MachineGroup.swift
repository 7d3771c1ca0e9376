internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x52, MACHINE: its sizes, and whether it runs.
struct MachineGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { attribute <= UInt64(XIVE_MACHINE_RUNNING) }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    guard has(attribute) else { throw .noSuchAttribute }
    let value = try payload.read(UInt32.self)
    switch attribute {
    case UInt64(XIVE_MACHINE_NR_SOURCES): try device.setSourceLimit(value)
    case UInt64(XIVE_MACHINE_NR_SERVERS): try device.setServerLimit(value)
    default:
      guard value <= 1 else { throw .invalid }
      device.setRunning(value == 1)
    }
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    switch attribute {
    case UInt64(XIVE_MACHINE_NR_SOURCES): try payload.write(device.sourceLimit)
    case UInt64(XIVE_MACHINE_NR_SERVERS):
      try payload.write(device.delivery.withLock { $0.serverLimit })
    case UInt64(XIVE_MACHINE_RUNNING): try payload.write(UInt32(device.isRunning ? 1 : 0))
    default: throw .noSuchAttribute
    }
  }
}
