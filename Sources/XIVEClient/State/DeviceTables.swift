internal import XIVEModel

/// The vCPUs that have state, and the valid event notification descriptors, of a device; in ascending order.
///
/// Each is a request of its own; the device says how many there are, so that the search ends with the last one.
struct DeviceTables {
  private(set) var vps: [(server: Server, state: VPState)] = []
  private(set) var ends: [ENDRecord] = []

  /// Asks a device; tells now and then how many of both have been found, and of how many.
  init(_ device: borrowing XIVEDescriptor, _ progress: (Int, Int) -> Void = { _, _ in })
    throws(XIVEClientError)
  {
    let counters = try device.deliveryCounters()
    let (vpCount, endCount) = (Int(counters.vps), Int(counters.ends))
    var number: UInt32 = 0
    let serverCount = try device.serverCount()
    while vps.count < vpCount, number < serverCount {
      let server = Server(rawValue: number)
      let state = try device.vpState(of: server)
      if state.isPresent { vps.append((server, state)) }
      if number % 256 == 0 { progress(vps.count, vpCount + endCount) }
      number += 1
    }
    number = 0
    let limit = device.geometry.serverCount * UInt32(Priority.allCases.count)
    while ends.count < endCount, number < limit {
      let index = ENDIndex(rawValue: number)
      let end = try device.end(at: index)
      if end.isValid { ends.append(ENDRecord(index: index, end: end)) }
      if number % 256 == 0 { progress(vps.count + ends.count, vpCount + endCount) }
      number += 1
    }
  }
}
