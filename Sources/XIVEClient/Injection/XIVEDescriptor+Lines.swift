internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// The lines of level-sensitive sources: `KVM_IRQ_LINE_STATUS`.
extension XIVEDescriptor {
  /// Raises or lowers the line of a level-sensitive source, whatever irqfds hold there; raising that of a source that
  /// sends messages triggers it.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - isAsserted: whether the line is raised.
  /// - Returns: whether an event came of it.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)``, ``XIVEClientError/notCreated(_:)``;
  ///   ``InjectionError/passedThrough(_:_:)`` while it is mapped to hardware.
  @discardableResult
  public func setLine(of lisn: LISN, to isAsserted: Bool) throws(XIVEClientError) -> Bool {
    try requireSource(lisn)
    var payload = KVMRequest.bytes([lisn.rawValue, isAsserted ? 1 : 0])
    do { try device.control(KVMRequest.irqLineStatus, &payload) } catch {
      guard error.errno == .invalidArgument else { throw .device(error) }
      throw refusal(lisn, error)
    }
    // The status takes the place of the number.
    return unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: Int32.self) } > 0
  }

  /// Asks what came from irqfds, lines and messages.
  /// - Returns: the device's counts.
  /// - Throws: ``XIVEClientError``.
  public func injectionCounters() throws(XIVEClientError) -> InjectionCounters {
    InjectionCounters(try injectionInfo())
  }

  func injectionInfo() throws(XIVEClientError) -> xive_info_injection {
    try device.get(XIVE_GROUP_INFO, UInt64(XIVE_INFO_INJECTION))
  }

  /// Why a source takes no event: it is not there, was never created, or is mapped to hardware.
  func refusal(_ lisn: LISN, _ error: DeviceClientError) -> XIVEClientError {
    let record: SourceRecord
    do { record = try sourceRecord(of: lisn) } catch { return error }
    if let target = record.passthrough { return .injection(.passedThrough(lisn, target)) }
    return record.isCreated ? .device(error) : .notCreated(lisn)
  }

  /// The words for a source beyond the number that was set, or that the device was started with.
  func noSuchSource(_ lisn: LISN) -> XIVEClientError {
    let count = (try? sourceCount()) ?? geometry.sourceCount
    return .noSuchSource(max(lisn, LISN(rawValue: count)), count: count)
  }
}

/// What came from irqfds, lines and messages since a device was started.
public struct InjectionCounters: Hashable, Sendable {
  /// irqfds that are assigned now.
  public let irqfds: UInt64
  /// Events of eventfds that were given to their source.
  public let injected: UInt64
  /// Levels that were set.
  public let lines: UInt64
  /// Messages that were sent.
  public let messages: UInt64
  /// Of these, those that were dropped because the source is mapped to hardware.
  public let refused: UInt64
  /// Ends of interrupts that were told to resample eventfds.
  public let resampled: UInt64

  init(_ info: xive_info_injection) {
    irqfds = info.irqfds
    injected = info.injected
    lines = info.lines
    messages = info.messages
    refused = info.refused
    resampled = info.resampled
  }
}
