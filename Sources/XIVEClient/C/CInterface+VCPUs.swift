// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

internal import CXIVEClient
internal import DeviceClient
internal import XIVEModel

/// What an `xive_client_vcpu` pointer refers to.
private final class VCPUHandle: Sendable {
  let vcpu: VCPU
  init(_ vcpu: consuming VCPU) { self.vcpu = vcpu }

  /// The vCPU behind a handle.
  @unsafe
  static func of(_ vcpu: OpaquePointer) -> VCPUHandle {
    unsafe Unmanaged.fromOpaque(UnsafeRawPointer(vcpu)).takeUnretainedValue()
  }
}

/// Performs a call on a vCPU that answers 0 or a negative error number.
@unsafe
private func vcpuStatus(
  _ vcpu: OpaquePointer, _ body: (borrowing VCPU) throws(XIVEClientError) -> Void
) -> CInt {
  status { () throws(XIVEClientError) in try body(unsafe VCPUHandle.of(vcpu).vcpu) }
}

/// Opens the device once more and connects the descriptor to a server.
@c @implementation
public func xive_client_vcpu_connect(
  _ path: UnsafePointer<CChar>, _ server: UInt32, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    VCPUHandle(try VCPU(unsafe String(cString: path), server: Server(rawValue: server)))
  }
}

/// Gives the vCPU up, which disconnects it.
@c @implementation
public func xive_client_vcpu_disconnect(_ vcpu: OpaquePointer?) {
  guard let vcpu = unsafe vcpu else { return }
  unsafe Unmanaged<VCPUHandle>.fromOpaque(UnsafeRawPointer(vcpu)).release()
}

/// The connected descriptor.
@c @implementation
public func xive_client_vcpu_fd(_ vcpu: OpaquePointer) -> CInt {
  unsafe VCPUHandle.of(vcpu).vcpu.rawValue
}

/// Waits until an interrupt can be acknowledged.
@c @implementation
public func xive_client_vcpu_wait(_ vcpu: OpaquePointer, _ milliseconds: CInt) -> Bool {
  unsafe VCPUHandle.of(vcpu).vcpu.wait(milliseconds: milliseconds)
}

/// Acknowledges the most favored pending interrupt.
@c @implementation
public func xive_client_vcpu_acknowledge(
  _ vcpu: OpaquePointer, _ nsr: UnsafeMutablePointer<UInt8>, _ cppr: UnsafeMutablePointer<UInt8>
) -> CInt {
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    let answer = try vcpu.acknowledge()
    unsafe nsr.pointee = answer.nsr
    unsafe cppr.pointee = answer.cppr
  }
}

/// Loads the vCPU's own priority.
@c @implementation
public func xive_client_vcpu_cppr(_ vcpu: OpaquePointer, _ cppr: UnsafeMutablePointer<UInt8>)
  -> CInt
{
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in unsafe cppr.pointee = try vcpu.cppr() }
}

/// Stores the vCPU's own priority.
@c @implementation
public func xive_client_vcpu_set_cppr(_ vcpu: OpaquePointer, _ cppr: UInt8) -> CInt {
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in try vcpu.setCPPR(cppr) }
}

/// Loads the OS ring.
@c @implementation
public func xive_client_vcpu_ring(_ vcpu: OpaquePointer, _ ring: UnsafeMutablePointer<UInt64>)
  -> CInt
{
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    unsafe ring.pointee = try vcpu.ring().w01
  }
}

/// Makes a priority pending.
@c @implementation
public func xive_client_vcpu_set_pending(_ vcpu: OpaquePointer, _ priority: UInt8) -> CInt {
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    guard let priority = Priority(rawValue: priority) else {
      throw .value("priority", UInt64(priority))
    }
    try vcpu.setPending(priority)
  }
}

/// Ends the interrupt of a source that sends messages.
@c @implementation
public func xive_client_vcpu_end_of_interrupt(
  _ vcpu: OpaquePointer, _ lisn: UInt32, _ again: UnsafeMutablePointer<Bool>?
) -> CInt {
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    let wasTriggered = try vcpu.endOfInterrupt(LISN(rawValue: lisn))
    unsafe again?.pointee = wasTriggered
  }
}

/// Ends the interrupt of an LSI.
@c @implementation
public func xive_client_vcpu_end_of_level_interrupt(
  _ vcpu: OpaquePointer, _ lisn: UInt32, _ again: UnsafeMutablePointer<Bool>?
) -> CInt {
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    let wasForwarded = try vcpu.endOfLevelInterrupt(LISN(rawValue: lisn))
    unsafe again?.pointee = wasForwarded
  }
}

/// Loads the state that the vCPU takes along.
@c @implementation
public func xive_client_vcpu_state(_ vcpu: OpaquePointer, _ ring: UnsafeMutablePointer<UInt64>)
  -> CInt
{
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    unsafe ring.pointee = try vcpu.state().w01
  }
}

/// Replaces the state that the vCPU takes along.
@c @implementation
public func xive_client_vcpu_set_state(_ vcpu: OpaquePointer, _ ring: UInt64) -> CInt {
  unsafe vcpuStatus(vcpu) { vcpu throws(XIVEClientError) in
    try vcpu.setState(RingState(w01: ring))
  }
}

/// Maps the vCPU's four TIMA pages, trapped.
@c @implementation
public func xive_client_vcpu_map_tima_trapped(
  _ vcpu: OpaquePointer, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe MappingHandle(try VCPUHandle.of(vcpu).vcpu.device.mapTIMA(access: .trapped))
  }
}

// MARK: - Scheduling

/// Pushes a server's OS context.
@c @implementation
public func xive_client_push_context(_ client: OpaquePointer, _ server: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.pushContext(of: Server(rawValue: server))
  }
}

/// Pulls a server's OS context.
@c @implementation
public func xive_client_pull_context(
  _ client: OpaquePointer, _ server: UInt32, _ wasPushed: UnsafeMutablePointer<Bool>?
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let result = try device.pullContext(of: Server(rawValue: server))
    unsafe wasPushed?.pointee = result
  }
}

/// Looks at a server.
@c @implementation
public func xive_client_context(
  _ client: OpaquePointer, _ server: UInt32, _ ring: UnsafeMutablePointer<UInt64>,
  _ isPushed: UnsafeMutablePointer<Bool>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let server = Server(rawValue: server)
    guard let context = try device.context(of: server) else {
      throw .delivery(.notConnected(server))
    }
    unsafe ring.pointee = context.ring.w01
    unsafe isPushed.pointee = context.isPushed
  }
}
