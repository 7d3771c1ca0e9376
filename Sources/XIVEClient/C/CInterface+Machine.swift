// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

public import CXIVE
internal import CXIVEClient
internal import SystemPackage
internal import XIVEModel

// MARK: - Set-up

/// Limits source numbers.
@c @implementation
public func xive_client_set_source_count(_ client: OpaquePointer, _ count: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in try device.setSourceCount(count) }
}

/// How many sources there are.
@c @implementation
public func xive_client_source_count(
  _ client: OpaquePointer, _ count: UnsafeMutablePointer<UInt32>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe count.pointee = try device.sourceCount()
  }
}

/// How many servers there are.
@c @implementation
public func xive_client_server_count(
  _ client: OpaquePointer, _ count: UnsafeMutablePointer<UInt32>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe count.pointee = try device.serverCount()
  }
}

/// Tells where a guest sees a part of the controller.
@c @implementation
public func xive_client_set_address(
  _ client: OpaquePointer, _ window: UInt32, _ address: UInt64
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.setAddress(of: AddressWindow(number: window), to: address)
  }
}

/// Where a guest sees a part of the controller.
@c @implementation
public func xive_client_address(
  _ client: OpaquePointer, _ window: UInt32, _ address: UnsafeMutablePointer<UInt64>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let window = try AddressWindow(number: window)
    guard let value = try device.address(of: window) else {
      throw .machine(.address(window, 0, .noSuchAddressOrDevice))
    }
    unsafe address.pointee = value
  }
}

extension AddressWindow {
  /// Takes a window that a caller gives.
  fileprivate init(number: UInt32) throws(XIVEClientError) {
    guard let window = AddressWindow(rawValue: number) else {
      throw .value("window", UInt64(number))
    }
    self = window
  }
}

// MARK: - Stopping

/// Stops the machine, or lets it run again.
@c @implementation
public func xive_client_set_running(_ client: OpaquePointer, _ running: Bool) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    if running { try device.resumeMachine() } else { try device.stopMachine() }
  }
}

/// Whether the machine runs.
@c @implementation
public func xive_client_is_running(
  _ client: OpaquePointer, _ running: UnsafeMutablePointer<Bool>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe running.pointee = try device.isRunning()
  }
}

// MARK: - State

/// Reads the state of a run of sources.
@c @implementation
public func xive_client_source_states(
  _ client: OpaquePointer, _ firstLISN: UInt32, _ count: Int,
  _ states: UnsafeMutablePointer<xive_source_state>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    // A count beyond any device's would not be one in bytes.
    try device.requireSources(LISN(rawValue: firstLISN), count)
    let records = unsafe UnsafeMutableRawBufferPointer(
      UnsafeMutableBufferPointer(start: states, count: count))
    var bytes = unsafe records.mutableBytes
    try device.readSourceState(from: LISN(rawValue: firstLISN), into: &bytes)
  }
}

/// Sets the state of a run of sources.
@c @implementation
public func xive_client_set_source_states(
  _ client: OpaquePointer, _ firstLISN: UInt32, _ count: Int,
  _ states: UnsafePointer<xive_source_state>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.requireSources(LISN(rawValue: firstLISN), count)
    let records = unsafe UnsafeRawBufferPointer(
      UnsafeBufferPointer(start: states, count: count))
    try device.writeSourceState(unsafe records.bytes, from: LISN(rawValue: firstLISN))
  }
}

/// Reads the state of a server's vCPU.
@c @implementation
public func xive_client_vp_state(
  _ client: OpaquePointer, _ server: UInt32, _ state: UnsafeMutablePointer<xive_vp>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe state.pointee = try device.vpInfo(of: Server(rawValue: server))
  }
}

/// Sets the state of a server's vCPU.
@c @implementation
public func xive_client_set_vp_state(
  _ client: OpaquePointer, _ server: UInt32, _ state: UnsafePointer<xive_vp>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.setVPInfo(unsafe state.pointee, of: Server(rawValue: server))
  }
}
