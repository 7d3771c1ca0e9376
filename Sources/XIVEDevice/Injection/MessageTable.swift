internal import PagedDevice
internal import XIVEModel

/// Where the messages of requesters go.
struct MessageTable: Sendable {
  /// A run of messages of one requester and the run of sources that they trigger.
  struct Route: Sendable {
    let address: UInt64
    let firstData: UInt32
    let count: UInt32
    let firstLISN: LISN

    /// The data of its messages.
    var data: Range<UInt64> { UInt64(firstData)..<UInt64(firstData) + UInt64(count) }
  }

  /// Most routes of a requester: a function has no more messages.
  ///
  /// Source: PCI Express, MSI-X, Table Size: 2,048 entries.
  static let requesterLimit = 2_048
  /// Most routes of all requesters.
  static let limit = 65_536

  private var routes: [UInt32: [Route]] = [:]
  private var count = 0

  /// Adds a route.
  /// - Throws: ``/PagedDevice/DeviceError/exists`` where another of the requester's takes one of its messages;
  ///   ``/PagedDevice/DeviceError/outOfMemory`` beyond a limit.
  mutating func add(_ route: Route, of requester: UInt32) throws(DeviceError) {
    let others = routes[requester, default: []]
    guard !others.contains(where: { $0.address == route.address && $0.data.overlaps(route.data) })
    else { throw .exists }
    guard others.count < Self.requesterLimit, count < Self.limit else { throw .outOfMemory }
    routes[requester, default: []].append(route)
    count += 1
  }

  /// Removes the route that begins with a message.
  /// - Returns: false when none does.
  mutating func remove(_ address: UInt64, _ firstData: UInt32, of requester: UInt32) -> Bool {
    guard var left = routes[requester],
      let index = left.firstIndex(where: { $0.address == address && $0.firstData == firstData })
    else { return false }
    left.remove(at: index)
    count -= 1
    routes[requester] = left.isEmpty ? nil : left
    return true
  }

  /// The source that a message triggers, or nil.
  func lisn(of requester: UInt32, _ address: UInt64, _ data: UInt32) -> LISN? {
    let route = routes[requester]?.first {
      $0.address == address && $0.data.contains(UInt64(data))
    }
    return route.map { LISN(rawValue: $0.firstLISN.rawValue + (data - $0.firstData)) }
  }
}
