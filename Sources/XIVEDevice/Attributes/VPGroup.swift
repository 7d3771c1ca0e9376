internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x53, VP: the state of any server's vCPU, whoever asks.
struct VPGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool {
    (try? server(attribute)) != nil
  }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let server = try server(attribute)
    let value = try payload.read(xive_vp.self)
    guard value.flags == 0, value.zero == 0, value.state.1 == 0 else { throw .invalid }
    try device.setVP(of: server, to: UInt64(bigEndian: value.state.0))
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    let vp = try device.vp(of: server(attribute))
    var value = xive_vp()
    value.state.0 = vp.ring.bigEndian
    value.flags =
      (vp.isConnected ? XIVE_VP_CONNECTED : 0) | (vp.isPresent ? XIVE_VP_PRESENT : 0)
    try payload.write(value)
  }

  private func server(_ attribute: UInt64) throws(DeviceError) -> Server {
    let limit = device.delivery.withLock { $0.serverLimit }
    guard attribute < UInt64(limit) else { throw .noSuchAttribute }
    return Server(rawValue: UInt32(attribute))
  }
}
