// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

internal import CSystemCalls
public import CXIVE
internal import CXIVEClient
internal import XIVEModel

/// The last failure of this thread in words.
@c @implementation
public func xive_client_error_message() -> UnsafePointer<CChar> { unsafe csystem_kept_message() }

/// Opens a device file.
@c @implementation
public func xive_client_open(
  _ path: UnsafePointer<CChar>, _ writable: Bool, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    ClientHandle(try XIVEDescriptor(unsafe String(cString: path), isWritable: writable))
  }
}

/// Gives the client up; it is closed when no call uses it any more.
@c @implementation
public func xive_client_close(_ client: OpaquePointer?) {
  guard let client = unsafe client else { return }
  unsafe Unmanaged<ClientHandle>.fromOpaque(UnsafeRawPointer(client)).release()
}

/// Asks what the device was started with.
@c @implementation
public func xive_client_geometry(
  _ client: OpaquePointer, _ geometry: UnsafeMutablePointer<xive_info_geometry>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe geometry.pointee = try device.geometryInfo()
  }
}

/// Performs one exact load.
@c @implementation
public func xive_client_load(
  _ client: OpaquePointer, _ offset: UInt64, _ value: UnsafeMutablePointer<UInt64>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe value.pointee = try device.load(at: offset)
  }
}

/// Performs one exact store.
@c @implementation
public func xive_client_store(_ client: OpaquePointer, _ offset: UInt64, _ value: UInt64) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.store(value, at: offset)
  }
}

/// Performs one exact load of a size.
@c @implementation
public func xive_client_load_size(
  _ client: OpaquePointer, _ offset: UInt64, _ size: UInt32, _ value: UnsafeMutablePointer<UInt64>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe value.pointee = try device.load(at: offset, byteCount: registerSize(size))
  }
}

/// Performs one exact store of a size.
@c @implementation
public func xive_client_store_size(
  _ client: OpaquePointer, _ offset: UInt64, _ size: UInt32, _ value: UInt64
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.store(value, at: offset, byteCount: registerSize(size))
  }
}

/// Takes the size of a register that a caller gives.
private func registerSize(_ size: UInt32) throws(XIVEClientError) -> Int {
  guard (1...8).contains(size) else { throw .value("size", UInt64(size)) }
  return Int(size)
}

// MARK: - Sources

/// Creates a source.
@c @implementation
public func xive_client_create_source(
  _ client: OpaquePointer, _ lisn: UInt32, _ flags: UInt64
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let sensitive = UInt64(KVM_XIVE_LEVEL_SENSITIVE)
    let asserted = UInt64(KVM_XIVE_LEVEL_ASSERTED)
    guard flags & ~(sensitive | asserted) == 0 else { throw .value("flags", flags) }
    try device.createSource(
      LISN(rawValue: lisn), isLSI: flags & sensitive != 0, isAsserted: flags & asserted != 0)
  }
}

/// Triggers a source.
@c @implementation
public func xive_client_trigger(_ client: OpaquePointer, _ lisn: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.trigger(LISN(rawValue: lisn))
  }
}

/// Reads PQ without an effect.
@c @implementation
public func xive_client_pq(
  _ client: OpaquePointer, _ lisn: UInt32, _ pq: UnsafeMutablePointer<UInt64>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    unsafe pq.pointee = register(try device.pq(of: LISN(rawValue: lisn)))
  }
}

/// Sets PQ.
@c @implementation
public func xive_client_set_pq(
  _ client: OpaquePointer, _ lisn: UInt32, _ pq: UInt32, _ oldPQ: UnsafeMutablePointer<UInt64>?
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    guard pq <= XIVE_PQ_QUEUED else { throw .value("pq", UInt64(pq)) }
    let old = try device.setPQ(of: LISN(rawValue: lisn), to: PQ(rawValue: UInt8(pq)))
    unsafe oldPQ?.pointee = register(old)
  }
}

/// Ends the interrupt by a load.
@c @implementation
public func xive_client_end_of_interrupt(
  _ client: OpaquePointer, _ lisn: UInt32, _ forwarded: UnsafeMutablePointer<Bool>?
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let wasForwarded = try device.endOfInterrupt(LISN(rawValue: lisn))
    unsafe forwarded?.pointee = wasForwarded
  }
}

/// The register's value: all ones where there is no state.
private func register(_ pq: PQ?) -> UInt64 { pq.map { UInt64($0.rawValue) } ?? .max }
