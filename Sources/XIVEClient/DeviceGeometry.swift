internal import CXIVE
public import XIVEModel

/// What a device was started with.
public struct DeviceGeometry: Hashable, Sendable {
  /// The number of sources that it has room for.
  public let sourceCount: UInt32
  /// The number of servers that it has room for.
  public let serverCount: UInt32
  /// Logarithm of a device page's bytes.
  public let pageShift: UInt32
  /// ESB pages a source: 1 or 2.
  public let pagesPerSource: UInt32
  /// Whether a store at 400-7ff of a management page ends the interrupt.
  public let supportsStoreEOI: Bool

  /// Creates a geometry, such as that of a saved state.
  /// - Parameters:
  ///   - sourceCount: the number of sources that there is room for.
  ///   - serverCount: the number of servers that there is room for.
  ///   - pageShift: logarithm of a device page's bytes.
  ///   - pagesPerSource: ESB pages a source: 1 or 2.
  ///   - supportsStoreEOI: whether a store ends the interrupt.
  public init(
    sourceCount: UInt32, serverCount: UInt32, pageShift: UInt32, pagesPerSource: UInt32,
    supportsStoreEOI: Bool
  ) {
    self.sourceCount = sourceCount
    self.serverCount = serverCount
    self.pageShift = pageShift
    self.pagesPerSource = pagesPerSource
    self.supportsStoreEOI = supportsStoreEOI
  }

  init(_ info: xive_info_geometry) {
    sourceCount = info.sources
    serverCount = info.max_vcpus
    pageShift = info.device_page_shift
    pagesPerSource = info.esb_pages
    supportsStoreEOI = info.flags & XIVE_INFO_STORE_EOI != 0
  }

  /// The layout of the file.
  public var map: DeviceMap {
    DeviceMap(pageShift: UInt64(pageShift), sourceCount: sourceCount, serverCount: serverCount)
  }
}

/// What a device has done since it started.
public struct DeviceCounters: Hashable, Sendable {
  /// 4 KiB pages filled.
  public let fills: UInt64
  /// Page fills that were refused: each touch of a hole is asked for twice by the kernel.
  public let refusedFills: UInt64
  /// Exact loads performed.
  public let exactLoads: UInt64
  /// Exact stores performed.
  public let exactStores: UInt64
  /// Stores to mappings performed.
  public let mappedStores: UInt64
  /// Sources whose mapped pages were given new bytes.
  public let liveUpdates: UInt64
  /// Events that left the sources.
  public let events: UInt64
  /// Accesses that the architecture does not define, or that hit an absent page.
  public let guestErrors: UInt64
  /// Events of PHB interrupts that no source is mapped to.
  public let hostEvents: UInt64
  /// Ranges of pages that were dropped because their backing changed.
  public let zaps: UInt64

  init(_ info: xive_info_counters) {
    fills = info.fills
    refusedFills = info.refused_fills
    exactLoads = info.exact_loads
    exactStores = info.exact_stores
    mappedStores = info.mapped_stores
    liveUpdates = info.live_updates
    events = info.events
    guestErrors = info.guest_errors
    hostEvents = info.host_events
    zaps = info.zaps
  }
}
