internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Has a run of a requester's messages trigger a run of sources.
  func addRoute(_ route: MessageTable.Route, of requester: UInt32) throws(DeviceError) {
    guard route.data.upperBound <= 1 << 32 else { throw .invalid }
    guard UInt64(route.firstLISN.rawValue) + UInt64(route.count) <= UInt64(sourceLimit) else {
      throw .outOfRange
    }
    for number in route.firstLISN.rawValue..<route.firstLISN.rawValue + route.count {
      let lisn = LISN(rawValue: number)
      guard backingWord(of: lisn) != nil, !engine.cells.state(of: lisn).isLSI else {
        throw .invalid
      }
    }
    try injection.withLock { state throws(DeviceError) in
      try state.messages.add(route, of: requester)
    }
  }

  /// Takes a route away.
  func removeRoute(_ address: UInt64, _ firstData: UInt32, of requester: UInt32)
    throws(DeviceError)
  {
    let isThere = injection.withLock { $0.messages.remove(address, firstData, of: requester) }
    guard isThere else { throw .notFound }
  }

  /// The source that a message triggers, and where its events go; nothing is sent.
  func translation(of requester: UInt32, _ address: UInt64, _ data: UInt32) throws(DeviceError)
    -> (LISN, EAS)
  {
    guard let lisn = injection.withLock({ $0.messages.lisn(of: requester, address, data) }) else {
      throw .notFound
    }
    return (lisn, router.eas(of: lisn))
  }

  /// Sends a message.
  /// - Returns: whether an event came of it: false for a source that is off, or masked.
  func sendMessage(_ address: UInt64, _ data: UInt32, from requester: UInt32) throws(DeviceError)
    -> Bool
  {
    let (lisn, eas) = try translation(of: requester, address, data)
    counters.messages.add(1, stripe: Int(lisn.rawValue))
    let before = engine.cells.state(of: lisn).pq
    guard inject(.trigger, into: lisn) != nil else {
      note(.mappedToHardware(lisn))
      throw .invalid
    }
    return before != .off && eas.isValid && !eas.isMasked
  }
}
