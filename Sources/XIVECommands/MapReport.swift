internal import XIVEClient
internal import XIVEModel

/// What `--json` prints.
struct MapReport: Encodable {
  let schemaVersion = 1
  let sources: UInt32
  let servers: UInt32
  let devicePageBytes: UInt64
  let esbPages: UInt32
  let storeEOI: Bool
  let segments: [MapSegment]
  let vcpus: [MapVCPU]
  let counters: [String: UInt64]
  let delivery: [String: UInt64]
  let guestErrors: [String: UInt64]
  let machine: MapMachine
  let injection: [String: UInt64]

  init(_ device: borrowing XIVEDescriptor, _ segments: [MapSegment], _ vcpus: [MapVCPU])
    throws(XIVEClientError)
  {
    sources = device.geometry.sourceCount
    servers = device.geometry.serverCount
    devicePageBytes = device.map.pageByteCount
    esbPages = device.geometry.pagesPerSource
    storeEOI = device.geometry.supportsStoreEOI
    self.segments = segments
    self.vcpus = vcpus
    counters = Dictionary(uniqueKeysWithValues: try device.counters().named)
    delivery = Dictionary(uniqueKeysWithValues: try device.deliveryCounters().named)
    guestErrors = Dictionary(uniqueKeysWithValues: try device.guestErrors().named)
    machine = try MapMachine(device)
    injection = Dictionary(uniqueKeysWithValues: try device.injectionCounters().named)
  }
}

extension DeviceCounters {
  /// The counters with the names that programs read.
  var named: [(String, UInt64)] {
    [
      ("fills", fills), ("refusedFills", refusedFills), ("exactLoads", exactLoads),
      ("exactStores", exactStores), ("mappedStores", mappedStores), ("liveUpdates", liveUpdates),
      ("events", events), ("guestErrors", guestErrors), ("hostEvents", hostEvents),
      ("zaps", zaps),
    ]
  }
}

extension DeliveryCounters {
  /// The counters with the names that programs read.
  var named: [(String, UInt64)] {
    [
      ("entries", entries), ("notified", notified), ("backlogged", backlogged),
      ("coalesced", coalesced), ("escalated", escalated), ("masked", masked),
      ("undelivered", undelivered), ("vcpus", vcpus), ("ends", ends), ("vps", vps),
    ]
  }
}

extension GuestErrors {
  /// The counters with the names that programs read.
  var named: [(String, UInt64)] {
    [
      ("absentPage", absentPage), ("esbOperation", esbOperation), ("endStore", endStore),
      ("timaAccess", timaAccess), ("timaStore", timaStore), ("easInvalid", easInvalid),
      ("endInvalid", endInvalid), ("nvtInvalid", nvtInvalid), ("camDuplicate", camDuplicate),
      ("escalationLoop", escalationLoop), ("context", context), ("image", image),
    ]
  }
}

extension InjectionCounters {
  /// The counters with the names that programs read.
  var named: [(String, UInt64)] {
    [
      ("irqfds", irqfds), ("injected", injected), ("lines", lines), ("messages", messages),
      ("refused", refused), ("resampled", resampled),
    ]
  }
}
