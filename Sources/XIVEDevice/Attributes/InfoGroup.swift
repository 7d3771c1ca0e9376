internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x50, INFO: what the device is and what it has done; get only.
struct InfoGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool {
    attribute <= UInt64(XIVE_INFO_TRACE)
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    switch attribute {
    case UInt64(XIVE_INFO_GEOMETRY): try payload.write(geometry)
    case UInt64(XIVE_INFO_COUNTERS): try payload.write(counters)
    case UInt64(XIVE_INFO_DELIVERY): try payload.write(delivery)
    case UInt64(XIVE_INFO_GUEST_ERRORS): try payload.write(device.watch.guestErrors.info)
    case UInt64(XIVE_INFO_INJECTION): try payload.write(injection)
    case UInt64(XIVE_INFO_TRACE): try payload.write(device.traceInfo)
    default: throw .noSuchAttribute
    }
  }

  private var injection: xive_info_injection {
    var info = xive_info_injection()
    info.irqfds = device.injection.withLock { UInt64($0.count) }
    info.injected = device.counters.injections.value
    info.lines = device.counters.lines.value
    info.messages = device.counters.messages.value
    info.refused = device.counters.refusedInjections.value
    info.resampled = device.counters.resampled.value
    return info
  }

  private var geometry: xive_info_geometry {
    let configuration = device.configuration
    var info = xive_info_geometry()
    info.sources = configuration.sourceCount
    info.device_page_shift = UInt32(configuration.geometry.pageShift)
    info.esb_pages = UInt32(configuration.geometry.pageCount)
    info.flags = configuration.supportsStoreEOI ? UInt32(XIVE_INFO_STORE_EOI) : 0
    info.max_vcpus = configuration.serverCount
    info.source_blocks = UInt32(device.sources.blockCount)
    return info
  }

  private var delivery: xive_info_delivery {
    let counts = device.router.counts
    var info = xive_info_delivery()
    info.entries = counts.entries
    info.notified = counts.notified
    info.backlogged = counts.backlogged
    info.coalesced = counts.coalesced
    info.escalated = counts.escalated
    info.masked = counts.masked
    info.undelivered = counts.undelivered
    info.vcpus = device.delivery.withLock { UInt64($0.servers.count) }
    info.ends = UInt64(device.router.validENDCount)
    info.vps = UInt64(device.presentVPCount)
    return info
  }

  private var counters: xive_info_counters {
    var info = xive_info_counters()
    info.fills = device.counters.fills.value
    info.refused_fills = device.counters.refusedFills.value
    info.exact_loads = device.counters.exactLoads.value
    info.exact_stores = device.counters.exactStores.value
    info.mapped_stores = device.counters.mappedStores.value
    info.live_updates = device.counters.liveUpdates.value
    info.events = device.events.count
    info.guest_errors = device.watch.guestErrors.sum
    info.host_events = device.counters.hostEvents.value
    info.zaps = device.counters.zaps.value
    return info
  }
}
