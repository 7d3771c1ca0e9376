// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

public import CXIVE
internal import CXIVEClient
internal import XIVEModel

/// Adds a PHB.
@c @implementation
public func xive_client_add_phb(
  _ client: OpaquePointer, _ phb: UInt32, _ shape: UnsafePointer<xive_phb>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let phb = try PHBIndex(number: phb)
    let shape = unsafe shape.pointee
    guard shape.flags & ~XIVE_PHB_STORE_EOI == 0 else { throw .value("flags", UInt64(shape.flags)) }
    guard shape.mapped == 0 else { throw .value("mapped", UInt64(shape.mapped)) }
    try device.addPHB(
      phb,
      PHBShape(
        msiCount: shape.nr_msis, lsiCount: shape.nr_lsis,
        supportsStoreEOI: shape.flags & XIVE_PHB_STORE_EOI != 0))
  }
}

/// Removes a PHB.
@c @implementation
public func xive_client_remove_phb(_ client: OpaquePointer, _ phb: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.removePHB(PHBIndex(number: phb))
  }
}

/// Asks about a PHB.
@c @implementation
public func xive_client_phb_status(
  _ client: OpaquePointer, _ phb: UInt32, _ result: UnsafeMutablePointer<xive_phb>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let status = try device.status(of: PHBIndex(number: phb))
    unsafe result.pointee = xive_phb(
      nr_msis: status.shape.msiCount, nr_lsis: status.shape.lsiCount,
      flags: status.shape.supportsStoreEOI ? XIVE_PHB_STORE_EOI : 0, mapped: status.mappedCount)
  }
}

/// Maps a run of sources to a PHB's interrupts, in place.
@c @implementation
public func xive_client_map_passthrough(
  _ client: OpaquePointer, _ firstLISN: UInt32, _ run: UnsafePointer<xive_passthrough>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let payload = unsafe run.pointee
    let run = try PassthroughRun(firstLISN, payload, flags: XIVE_PASSTHROUGH_PREFAULT)
    try device.map(run, prefault: payload.flags != 0)
  }
}

/// Gives a run of sources their own pages back.
@c @implementation
public func xive_client_unmap_passthrough(
  _ client: OpaquePointer, _ firstLISN: UInt32, _ run: UnsafePointer<xive_passthrough>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let payload = unsafe run.pointee
    let run = try PassthroughRun(firstLISN, payload, flags: XIVE_PASSTHROUGH_PREFAULT)
    try device.unmap(run, prefault: payload.flags != 0)
  }
}

/// Asks what serves a source.
@c @implementation
public func xive_client_passthrough_state(
  _ client: OpaquePointer, _ lisn: UInt32, _ state: UnsafeMutablePointer<xive_passthrough_state>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let status = try device.passthrough(of: LISN(rawValue: lisn))
    unsafe state.pointee = xive_passthrough_state(
      phb: UInt32(status.target?.phb.rawValue ?? 0),
      hwirq: UInt32(status.target?.irq.rawValue ?? 0), mapped: status.target == nil ? 0 : 1,
      zero: 0, generation: status.generation)
  }
}

/// Does what the physical device does.
@c @implementation
public func xive_client_hwirq(
  _ client: OpaquePointer, _ phb: UInt32, _ hwirq: UInt32, _ operation: UInt32
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    guard let what = HardwareOperation(rawValue: operation) else {
      throw .value("operation", UInt64(operation))
    }
    try device.perform(what, phb: PHBIndex(number: phb), irq: HardwareIRQ(number: hwirq))
  }
}

/// Asks for the state of a PHB's interrupt.
@c @implementation
public func xive_client_hwirq_state(
  _ client: OpaquePointer, _ phb: UInt32, _ hwirq: UInt32,
  _ state: UnsafeMutablePointer<xive_hwirq_state>
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    let answer = try device.state(phb: PHBIndex(number: phb), irq: HardwareIRQ(number: hwirq))
    unsafe state.pointee = xive_hwirq_state(
      pq: UInt32(answer.pq.rawValue), asserted: answer.isAsserted ? 1 : 0)
  }
}

// MARK: - Numbers of C callers

extension PHBIndex {
  /// Takes an index that a caller gives.
  fileprivate init(number: UInt32) throws(XIVEClientError) {
    guard let index = UInt16(exactly: number).flatMap(PHBIndex.init(rawValue:)) else {
      throw .value("phb", UInt64(number))
    }
    self = index
  }
}

extension HardwareIRQ {
  /// Takes an interrupt number that a caller gives.
  fileprivate init(number: UInt32) throws(XIVEClientError) {
    guard let irq = UInt16(exactly: number) else { throw .value("hwirq", UInt64(number)) }
    self.init(rawValue: irq)
  }
}

extension PassthroughRun {
  /// Takes a run that a caller gives, with such flags as the call knows.
  init(_ firstLISN: UInt32, _ run: xive_passthrough, flags: UInt32) throws(XIVEClientError) {
    guard run.flags & ~flags == 0 else { throw .value("flags", UInt64(run.flags)) }
    self.init(
      LISN(rawValue: firstLISN), to: try PHBIndex(number: run.phb),
      try HardwareIRQ(number: run.first_hwirq), count: run.count)
  }
}
