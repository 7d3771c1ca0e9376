// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

public import CXIVE
internal import CXIVEClient
internal import XIVEModel

/// What an `xive_client_irqfd` pointer refers to.
private final class IRQFDHandle: Sendable {
  let irqfd: IRQFD
  init(_ irqfd: consuming IRQFD) { self.irqfd = irqfd }
}

// MARK: - Eventfds

/// Triggers a source at each event of an eventfd.
@c @implementation
public func xive_client_irqfd_assign(
  _ client: OpaquePointer, _ lisn: UInt32, _ fd: CInt, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe IRQFDHandle(
      try ClientHandle.of(client).descriptor.assign(eventfd: fd, to: LISN(rawValue: lisn)))
  }
}

/// Raises the line of an LSI at each event of an eventfd.
@c @implementation
public func xive_client_irqfd_assign_level(
  _ client: OpaquePointer, _ lisn: UInt32, _ fd: CInt, _ resampleFD: CInt,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe IRQFDHandle(
      try ClientHandle.of(client).descriptor.assign(
        eventfd: fd, resamplefd: resampleFD, to: LISN(rawValue: lisn)))
  }
}

/// Raises an eventfd at each end of an LSI's interrupt.
@c @implementation
public func xive_client_irqfd_notify_ends(
  _ client: OpaquePointer, _ lisn: UInt32, _ resampleFD: CInt,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe IRQFDHandle(
      try ClientHandle.of(client).descriptor.notifyEnds(
        of: LISN(rawValue: lisn), resamplefd: resampleFD))
  }
}

/// Gives the handle up, which deassigns its eventfds.
@c @implementation
public func xive_client_irqfd_deassign(_ irqfd: OpaquePointer?) {
  guard let irqfd = unsafe irqfd else { return }
  unsafe Unmanaged<IRQFDHandle>.fromOpaque(UnsafeRawPointer(irqfd)).release()
}

// MARK: - Lines and messages

/// Raises or lowers a line.
@c @implementation
public func xive_client_set_line(
  _ client: OpaquePointer, _ lisn: UInt32, _ asserted: Bool,
  _ delivered: UnsafeMutablePointer<Bool>?
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let result = try device.setLine(of: LISN(rawValue: lisn), to: asserted)
    unsafe delivered?.pointee = result
  }
}

/// Routes messages of a device.
@c @implementation
public func xive_client_add_msi(
  _ client: OpaquePointer, _ requester: UInt32, _ msi: UnsafePointer<xive_msi>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let msi = unsafe msi.pointee
    guard msi.zero == 0 else { throw .value("zero", UInt64(msi.zero)) }
    try device.addRoute(
      MessageRoute(
        of: RequesterID(rawValue: requester), Message(at: msi.address, msi.first_data),
        to: LISN(rawValue: msi.first_lisn), count: msi.count))
  }
}

/// Removes a route.
@c @implementation
public func xive_client_remove_msi(
  _ client: OpaquePointer, _ requester: UInt32, _ address: UInt64, _ firstData: UInt32
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.removeRoute(
      of: RequesterID(rawValue: requester), from: Message(at: address, firstData))
  }
}

/// Asks where a message goes.
@c @implementation
public func xive_client_msi_route(
  _ client: OpaquePointer, _ requester: UInt32, _ address: UInt64, _ data: UInt32,
  _ route: UnsafeMutablePointer<xive_msi_route>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe route.pointee = try device.translation(
      of: Message(at: address, data), from: RequesterID(rawValue: requester))
  }
}

/// Sends a message.
@c @implementation
public func xive_client_signal_msi(
  _ client: OpaquePointer, _ requester: UInt32, _ address: UInt64, _ data: UInt32,
  _ delivered: UnsafeMutablePointer<Bool>?
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let result = try device.send(
      Message(at: address, data), from: RequesterID(rawValue: requester))
    unsafe delivered?.pointee = result
  }
}

/// Asks what came from irqfds, lines and messages.
@c @implementation
public func xive_client_injection(
  _ client: OpaquePointer, _ injection: UnsafeMutablePointer<xive_info_injection>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe injection.pointee = try device.injectionInfo()
  }
}
