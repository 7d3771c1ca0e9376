internal import CXIVE
internal import DeviceClient
internal import SystemPackage
internal import XIVEModel

/// Messages of devices: group 0x43 of the device's ABI, `xive.h`, and `KVM_SIGNAL_MSI`.
extension XIVEDescriptor {
  /// Has a run of a device's messages trigger a run of sources.
  /// - Parameter route: both runs.
  /// - Throws: ``InjectionError/routeCount(_:)``, ``InjectionError/routeExists(_:)``,
  ///   ``InjectionError/cannotRoute(_:)``, and ``XIVEClientError/noSuchSource(_:count:)`` beyond the device's sources.
  public func addRoute(_ route: MessageRoute) throws(XIVEClientError) {
    // None would remove it; what lies behind the last number is another's.
    let (first, count) = (route.first, UInt64(route.count))
    let end = UInt64(max(first.data, route.firstLISN.rawValue)) + count
    guard count > 0, end <= 1 << 32 else { throw .injection(.routeCount(route)) }
    try setRoute(route.requester, first, route.count, route.firstLISN) { error in
      switch error {
      case .fileExists: .injection(.routeExists(route))
      case .invalidArgument: .injection(.cannotRoute(route))
      case .argListTooLong: noSuchSource(route.firstLISN)
      default: nil
      }
    }
  }

  /// Removes a route; its messages trigger nothing from then on.
  /// - Parameters:
  ///   - requester: the device.
  ///   - first: the first message of the route.
  /// - Throws: ``InjectionError/noSuchRoute(_:_:)``.
  public func removeRoute(of requester: RequesterID, from first: Message) throws(XIVEClientError) {
    try setRoute(requester, first, 0, LISN(rawValue: 0)) { error in
      error == .noSuchFileOrDirectory ? .injection(.noSuchRoute(requester, first)) : nil
    }
  }

  private func setRoute(
    _ requester: RequesterID, _ first: Message, _ count: UInt32, _ lisn: LISN,
    _ words: (Errno) -> XIVEClientError?
  ) throws(XIVEClientError) {
    let payload = xive_msi(
      address: first.address, first_data: first.data, count: count, first_lisn: lisn.rawValue,
      zero: 0)
    try device.set(XIVE_GROUP_MSI, UInt64(requester.rawValue), payload, words)
  }

  /// Asks where a message goes, without sending it.
  /// - Parameters:
  ///   - message: the message.
  ///   - requester: the device that would send it.
  /// - Returns: its source, and where the source's events go.
  /// - Throws: ``InjectionError/noSuchMessage(_:_:)``.
  public func target(of message: Message, from requester: RequesterID) throws(XIVEClientError)
    -> MessageTarget
  {
    let answer = try translation(of: message, from: requester)
    let priority = UInt8(exactly: answer.priority).flatMap(Priority.init(rawValue:))
    let delivery = priority.map { priority in
      MessageTarget.Delivery(
        server: Server(rawValue: answer.server), priority: priority,
        eisn: EISN(rawValue: answer.eisn))
    }
    return MessageTarget(lisn: LISN(rawValue: answer.lisn), delivery: delivery)
  }

  func translation(of message: Message, from requester: RequesterID) throws(XIVEClientError)
    -> xive_msi_route
  {
    let query = xive_msi_query(address: message.address, data: message.data, zero: 0)
    return try device.get(XIVE_GROUP_MSI, UInt64(requester.rawValue), query) { error in
      error == .noSuchFileOrDirectory ? .injection(.noSuchMessage(requester, message)) : nil
    }
  }

  /// Sends a message as a device does.
  /// - Parameters:
  ///   - message: the message.
  ///   - requester: the device.
  /// - Returns: whether an event came of it: false when its source is off or masked.
  /// - Throws: ``InjectionError/noSuchMessage(_:_:)``; ``InjectionError/passedThrough(_:_:)`` while its source is
  ///   mapped to hardware.
  @discardableResult
  public func send(_ message: Message, from requester: RequesterID) throws(XIVEClientError) -> Bool
  {
    let words = [
      UInt32(truncatingIfNeeded: message.address), UInt32(message.address >> 32), message.data,
      Self.hasRequester, requester.rawValue,
    ]
    var payload = KVMRequest.bytes(words, byteCount: 32)
    do { return try device.control(KVMRequest.signalMSI, &payload) > 0 } catch {
      switch error.errno {
      case .noSuchFileOrDirectory: throw .injection(.noSuchMessage(requester, message))
      case .invalidArgument: throw refusal(try target(of: message, from: requester).lisn, error)
      default: throw .device(error)
      }
    }
  }

  /// `KVM_MSI_VALID_DEVID`.
  private static var hasRequester: UInt32 { 1 }
}
