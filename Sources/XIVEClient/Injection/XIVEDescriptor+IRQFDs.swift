internal import DeviceClient
public import SystemCalls
internal import SystemPackage
public import XIVEModel

/// Interrupts by eventfd: `KVM_IRQFD`. The eventfds stay the caller's, who may close them.
///
/// Errors of all: ``XIVEClientError/noSuchSource(_:count:)``, ``XIVEClientError/notCreated(_:)``,
/// ``InjectionError/noEventfd(_:_:)``, and ``InjectionError/irqfd(_:_:)``: `EBUSY` for an eventfd that is assigned
/// already, `EPERM` when the server may not take it, `EBADF`.
extension XIVEDescriptor {
  // MARK: - Sources that send messages

  /// Triggers a source each time that an event is raised; at once when it is up already.
  /// - Parameters:
  ///   - event: the event.
  ///   - lisn: a source that sends messages.
  /// - Returns: what keeps the event assigned.
  /// - Throws: as above, and ``InjectionError/levelSensitive(_:)``.
  public func assign(_ event: borrowing Event, to lisn: LISN) throws(XIVEClientError) -> IRQFD {
    try assign(eventfd: event.rawValue, to: lisn)
  }

  /// The same for an eventfd that something else than an ``/SystemCalls/Event`` owns.
  /// - Parameters:
  ///   - eventfd: its descriptor.
  ///   - lisn: a source that sends messages.
  /// - Returns: what keeps it assigned.
  /// - Throws: as above.
  public func assign(eventfd: CInt, to lisn: LISN) throws(XIVEClientError) -> IRQFD {
    try IRQFD(self, lisn, event: eventfd, resample: nil)
  }

  // MARK: - Level-sensitive sources

  /// Raises a source's line each time that an event is raised. When the guest ends the interrupt, the lines of all
  /// irqfds of the source are lowered, and each resample event is raised: a device that still wants attention
  /// raises its event again.
  /// - Parameters:
  ///   - event: the event.
  ///   - resample: what is told of the end.
  ///   - lisn: a level-sensitive source; several irqfds may share it.
  /// - Returns: what keeps the events assigned.
  /// - Throws: as above, and ``InjectionError/message(_:)``.
  public func assign(
    _ event: borrowing Event, resample: borrowing Event, to lisn: LISN
  ) throws(XIVEClientError) -> IRQFD {
    try assign(eventfd: event.rawValue, resamplefd: resample.rawValue, to: lisn)
  }

  /// The same for eventfds that something else than an ``/SystemCalls/Event`` owns.
  /// - Parameters:
  ///   - eventfd: the event's descriptor.
  ///   - resamplefd: the descriptor of what is told of the end.
  ///   - lisn: a level-sensitive source.
  /// - Returns: what keeps them assigned.
  /// - Throws: as above.
  public func assign(eventfd: CInt, resamplefd: CInt, to lisn: LISN) throws(XIVEClientError)
    -> IRQFD
  {
    try IRQFD(self, lisn, event: eventfd, resample: resamplefd)
  }

  /// Raises an event each time that the guest ends a source's interrupt, for one who raises its line by
  /// ``setLine(of:to:)``.
  /// - Parameters:
  ///   - lisn: a level-sensitive source.
  ///   - resample: what is told of the end.
  /// - Returns: what keeps the event assigned.
  /// - Throws: as above, and ``InjectionError/message(_:)``.
  public func notifyEnds(of lisn: LISN, by resample: borrowing Event) throws(XIVEClientError)
    -> IRQFD
  {
    try notifyEnds(of: lisn, resamplefd: resample.rawValue)
  }

  /// The same for an eventfd that something else than an ``/SystemCalls/Event`` owns.
  /// - Parameters:
  ///   - lisn: a level-sensitive source.
  ///   - resamplefd: the descriptor of what is told of the end.
  /// - Returns: what keeps it assigned.
  /// - Throws: as above.
  public func notifyEnds(of lisn: LISN, resamplefd: CInt) throws(XIVEClientError) -> IRQFD {
    try IRQFD(self, lisn, event: nil, resample: resamplefd)
  }

  /// The words for an irqfd that the device refused.
  func irqfdRefusal(_ lisn: LISN, event: CInt?, resample: CInt?, _ error: DeviceClientError)
    -> XIVEClientError
  {
    guard error.errno == .invalidArgument else { return .injection(.irqfd(lisn, error.errno)) }
    // One number for five mistakes: the source tells which.
    let record: SourceRecord
    do { record = try sourceRecord(of: lisn) } catch { return error }
    guard record.isCreated else { return .notCreated(lisn) }
    if record.isLSI != (resample != nil) {
      return .injection(record.isLSI ? .levelSensitive(lisn) : .message(lisn))
    }
    return .injection(.noEventfd(lisn, [event, resample].compactMap { $0 }))
  }
}
