// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

public import CXIVE
internal import CXIVEClient
internal import XIVEModel

/// Gives a server a queue, or takes it away.
@c @implementation
public func xive_client_configure_queue(
  _ client: OpaquePointer, _ server: UInt32, _ priority: UInt32, _ queue: UnsafePointer<xive_eq>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.setQueue(
      Server(rawValue: server), Priority(number: priority), unsafe queue.pointee)
  }
}

/// Asks for a server's queue.
@c @implementation
public func xive_client_queue_config(
  _ client: OpaquePointer, _ server: UInt32, _ priority: UInt32,
  _ queue: UnsafeMutablePointer<xive_eq>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe queue.pointee = try device.queue(
      Server(rawValue: server), Priority(number: priority))
  }
}

/// Routes the events of a source.
@c @implementation
public func xive_client_configure_source(
  _ client: OpaquePointer, _ lisn: UInt32, _ server: UInt32, _ priority: UInt32, _ eisn: UInt32,
  _ masked: Bool
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    guard eisn >> 31 == 0 else { throw .value("eisn", UInt64(eisn)) }
    try device.configureSource(
      LISN(rawValue: lisn), to: Server(rawValue: server), Priority(number: priority),
      eisn: EISN(rawValue: eisn), isMasked: masked)
  }
}

/// Waits until the events of a source have reached their queue.
@c @implementation
public func xive_client_sync_source(_ client: OpaquePointer, _ lisn: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.syncSource(LISN(rawValue: lisn))
  }
}

/// Waits until all events have reached their queues.
@c @implementation
public func xive_client_sync_queues(_ client: OpaquePointer) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in try device.syncQueues() }
}

/// Masks all sources and disables all queues.
@c @implementation
public func xive_client_reset(_ client: OpaquePointer) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in try device.reset() }
}

/// Limits server numbers.
@c @implementation
public func xive_client_set_server_count(_ client: OpaquePointer, _ count: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in try device.setServerCount(count) }
}

/// Asks for an END.
@c @implementation
public func xive_client_end(
  _ client: OpaquePointer, _ index: UInt32, _ end: UnsafeMutablePointer<xive_end>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe end.pointee = try device.endWords(at: index)
  }
}

/// Sets an END.
@c @implementation
public func xive_client_set_end(
  _ client: OpaquePointer, _ index: UInt32, _ end: UnsafePointer<xive_end>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.setEND(at: index, to: unsafe end.pointee)
  }
}

/// Asks what became of the events.
@c @implementation
public func xive_client_delivery(
  _ client: OpaquePointer, _ delivery: UnsafeMutablePointer<xive_info_delivery>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe delivery.pointee = try device.deliveryInfo()
  }
}

/// Asks what guests did wrong.
@c @implementation
public func xive_client_guest_errors(
  _ client: OpaquePointer, _ errors: UnsafeMutablePointer<xive_info_guest_errors>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe errors.pointee = try device.guestErrorInfo()
  }
}

extension Priority {
  /// Takes a priority that a caller gives.
  fileprivate init(number: UInt32) throws(XIVEClientError) {
    guard let priority = UInt8(exactly: number).flatMap(Priority.init(rawValue:)) else {
      throw .value("priority", UInt64(number))
    }
    self = priority
  }
}
