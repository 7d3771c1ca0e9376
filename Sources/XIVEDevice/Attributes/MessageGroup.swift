internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x43, MSI: where the messages of a requester go.
struct MessageGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { (try? requester(attribute)) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let requester = try requester(attribute)
    let value = try payload.read(xive_msi.self)
    guard value.zero == 0 else { throw .invalid }
    guard value.count > 0 else {
      try device.removeRoute(value.address, value.first_data, of: requester)
      return nil
    }
    try device.addRoute(
      MessageTable.Route(
        address: value.address, firstData: value.first_data, count: value.count,
        firstLISN: LISN(rawValue: value.first_lisn)), of: requester)
    return nil
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    let requester = try requester(attribute)
    let query = try payload.read(xive_msi_query.self)
    guard query.zero == 0 else { throw .invalid }
    let (lisn, eas) = try device.translation(of: requester, query.address, query.data)
    var route = xive_msi_route()
    route.lisn = lisn.rawValue
    route.priority = 0xff
    if eas.isValid, !eas.isMasked {
      route.server = eas.end.rawValue >> 3
      route.priority = eas.end.rawValue & 7
      route.eisn = eas.eisn.rawValue
    }
    try payload.write(route)
  }

  private func requester(_ attribute: UInt64) throws(DeviceError) -> UInt32 {
    guard let requester = UInt32(exactly: attribute) else { throw .noSuchAttribute }
    return requester
  }
}
