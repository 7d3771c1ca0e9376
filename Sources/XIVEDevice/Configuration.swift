public import XIVEModel

/// What is chosen once, before the device is served.
public struct Configuration: Hashable, Sendable {
  /// The number of sources that the device has room for, 1 to ``/XIVEModel/LISN/maximumCount``.
  public let sourceCount: UInt32
  /// The number of servers (vCPUs) that it has room for, 1 to ``/XIVEModel/Server/maximumCount``.
  public let serverCount: UInt32
  /// The shape of the sources' ESB pages; its page size is the device's.
  public let geometry: ESBGeometry
  /// Whether a store at 400-7ff of a management page ends the interrupt.
  public let supportsStoreEOI: Bool
  /// A mistake that the device makes on purpose, so that those who look for stale pages can prove themselves.
  public let sabotage: Sabotage?
  /// Whether trace records are made all the time, rather than while somebody reads them.
  public let isTraced: Bool
  /// Trace records that each thread keeps, at least 1.
  public let traceCapacity: Int

  /// What can be done wrong when a source's backing changes.
  public enum Sabotage: String, Sendable, CaseIterable {
    /// Pages are dropped before the new backing is published, as the kernel's device does it.
    case zapFirst = "zap-first"
    /// The kernel's window keeps its pages.
    case skipAlias = "skip-alias"
  }

  /// Creates a configuration.
  /// - Parameters:
  ///   - sourceCount: number of sources.
  ///   - serverCount: number of servers.
  ///   - geometry: shape of the ESB pages.
  ///   - supportsStoreEOI: whether StoreEOI works.
  ///   - sabotage: a mistake to make on purpose.
  ///   - isTraced: whether trace records are made all the time.
  ///   - traceCapacity: trace records that each thread keeps: 64 bytes each, taken when they are made.
  /// - Precondition: all counts are in range.
  public init(
    sourceCount: UInt32 = 8_192, serverCount: UInt32 = 1_024,
    geometry: ESBGeometry = .two4K, supportsStoreEOI: Bool = false,
    sabotage: Sabotage? = nil, isTraced: Bool = false, traceCapacity: Int = 16_384
  ) {
    precondition((1...UInt32(LISN.maximumCount)).contains(sourceCount), "sourceCount")
    precondition((1...UInt32(Server.maximumCount)).contains(serverCount), "serverCount")
    precondition(traceCapacity >= 1, "traceCapacity")
    self.sourceCount = sourceCount
    self.serverCount = serverCount
    self.geometry = geometry
    self.supportsStoreEOI = supportsStoreEOI
    self.sabotage = sabotage
    self.isTraced = isTraced
    self.traceCapacity = traceCapacity
  }

  /// The layout of the file.
  public var map: DeviceMap {
    DeviceMap(
      pageShift: UInt64(geometry.pageShift), sourceCount: sourceCount, serverCount: serverCount)
  }
}
