internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// PHBs and the sources that they serve: groups 0x40 to 0x42 of the device's ABI, `xive.h`.
///
/// A change needs a writable descriptor, and has had its effect when the call returns: after ``map(_:prefault:)``
/// and ``unmap(_:prefault:)`` no mapping in any process shows a page of the old backing.
extension XIVEDescriptor {
  // MARK: - PHBs

  /// Adds a PHB: hot-plug.
  /// - Parameters:
  ///   - phb: an index that is free.
  ///   - shape: what it brings along.
  /// - Throws: ``XIVEClientError/phbExists(_:)``, and ``XIVEClientError/phbShape(_:_:)`` for one without an
  ///   interrupt or with too many.
  public func addPHB(_ phb: PHBIndex, _ shape: PHBShape) throws(XIVEClientError) {
    // All zero would remove it.
    guard shape.irqCount > 0 else { throw .phbShape(phb, shape) }
    var payload = xive_phb()
    payload.nr_msis = shape.msiCount
    payload.nr_lsis = shape.lsiCount
    payload.flags = shape.supportsStoreEOI ? XIVE_PHB_STORE_EOI : 0
    try device.set(XIVE_GROUP_PHB, UInt64(phb.rawValue), payload) { error in
      switch error {
      case .fileExists: .phbExists(phb)
      case .argListTooLong: .phbShape(phb, shape)
      default: nil
      }
    }
  }

  /// Removes a PHB: hot-unplug. What is still mapped is unmapped first.
  /// - Parameter phb: the PHB.
  /// - Throws: ``XIVEClientError/noSuchPHB(_:)``.
  public func removePHB(_ phb: PHBIndex) throws(XIVEClientError) {
    try device.set(XIVE_GROUP_PHB, UInt64(phb.rawValue), xive_phb()) { error in
      error == .noSuchFileOrDirectory ? .noSuchPHB(phb) : nil
    }
  }

  /// Asks about a PHB.
  /// - Parameter phb: the PHB.
  /// - Returns: its shape, and how much of it is mapped.
  /// - Throws: ``XIVEClientError/noSuchPHB(_:)``.
  public func status(of phb: PHBIndex) throws(XIVEClientError) -> PHBStatus {
    try device.status(of: phb)
  }

  // MARK: - Passthrough

  /// Has a PHB's interrupts serve a run of sources: overmaps their pages in place, all or nothing.
  /// - Parameters:
  ///   - run: the sources and the interrupts.
  ///   - prefault: whether the new pages are filled before the call returns.
  /// - Throws: ``XIVEClientError/noSuchInterrupts(_:)``, ``XIVEClientError/cannotMap(_:)``, and
  ///   ``XIVEClientError/noSuchSource(_:count:)`` beyond the device's sources.
  public func map(_ run: PassthroughRun, prefault: Bool = false) throws(XIVEClientError) {
    try set(run, prefault ? XIVE_PASSTHROUGH_PREFAULT : 0) { error in
      switch error {
      case .noSuchFileOrDirectory: .noSuchInterrupts(run)
      case .invalidArgument: .cannotMap(run)
      default: nil
      }
    }
  }

  /// Gives a run of sources their own pages back, all or nothing.
  /// - Parameters:
  ///   - run: sources and interrupts that are mapped to each other.
  ///   - prefault: whether the sources' own pages are filled before the call returns.
  /// - Throws: ``XIVEClientError/notMapped(_:)``, and ``XIVEClientError/noSuchSource(_:count:)`` beyond the
  ///   device's sources.
  public func unmap(_ run: PassthroughRun, prefault: Bool = false) throws(XIVEClientError) {
    let flags = XIVE_PASSTHROUGH_UNMAP | (prefault ? XIVE_PASSTHROUGH_PREFAULT : 0)
    try set(run, flags) { error in
      switch error {
      case .noSuchFileOrDirectory, .invalidArgument: .notMapped(run)
      default: nil
      }
    }
  }

  private func set(
    _ run: PassthroughRun, _ flags: UInt32, _ words: (Errno) -> XIVEClientError?
  ) throws(XIVEClientError) {
    guard run.count > 0 else { throw .emptyRun(run) }
    let first = run.firstLISN
    var payload = xive_passthrough()
    payload.phb = UInt32(run.phb.rawValue)
    payload.first_hwirq = UInt32(run.firstIRQ.rawValue)
    payload.count = run.count
    payload.flags = flags
    try device.set(XIVE_GROUP_PASSTHROUGH, UInt64(first.rawValue), payload) { error in
      // The run begins or goes beyond the last source.
      guard error == .argListTooLong else { return words(error) }
      let count = geometry.sourceCount
      return .noSuchSource(max(first, LISN(rawValue: count)), count: count)
    }
  }

  /// Asks what serves a source.
  /// - Parameter lisn: the source.
  /// - Returns: the interrupt, if it is mapped to one, and how often that has changed.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)`` beyond the device's sources,
  ///   ``XIVEClientError/notCreated(_:)``.
  public func passthrough(of lisn: LISN) throws(XIVEClientError) -> PassthroughStatus {
    let count = geometry.sourceCount
    let answer: xive_passthrough_state =
      try device.get(XIVE_GROUP_PASSTHROUGH, UInt64(lisn.rawValue)) { error in
        switch error {
        case .argListTooLong: .noSuchSource(lisn, count: count)
        case .invalidArgument: .notCreated(lisn)
        default: nil
        }
      }
    let target = PHBIndex(rawValue: UInt16(truncatingIfNeeded: answer.phb)).map { phb in
      PassthroughTarget(phb, HardwareIRQ(rawValue: UInt16(truncatingIfNeeded: answer.hwirq)))
    }
    return PassthroughStatus(
      target: answer.mapped != 0 ? target : nil, generation: answer.generation)
  }

  // MARK: - What the physical device does

  /// Does what the physical device does with one of its interrupts.
  /// - Parameters:
  ///   - operation: what.
  ///   - phb: the PHB.
  ///   - irq: its interrupt; any of them to fence or unfence the PHB.
  /// - Throws: ``XIVEClientError/noSuchInterrupt(_:_:)``; ``XIVEClientError/operation(_:_:_:)`` for a
  ///   message of an LSI, or the line of an interrupt that sends messages.
  public func perform(_ operation: HardwareOperation, phb: PHBIndex, irq: HardwareIRQ)
    throws(XIVEClientError)
  {
    var payload = xive_hwirq()
    payload.op = operation.rawValue
    let attribute = xive_hwirq_attr(UInt32(phb.rawValue), UInt32(irq.rawValue))
    try device.set(XIVE_GROUP_HWIRQ, attribute, payload) { error in
      switch error {
      case .noSuchFileOrDirectory: .noSuchInterrupt(phb, irq)
      case .invalidArgument: .operation(operation, phb, irq)
      default: nil
      }
    }
  }

  /// Asks for the state of an interrupt of a PHB, mapped or not.
  /// - Parameters:
  ///   - phb: the PHB.
  ///   - irq: its interrupt.
  /// - Returns: PQ, and the line of an LSI.
  /// - Throws: ``XIVEClientError/noSuchInterrupt(_:_:)``.
  public func state(phb: PHBIndex, irq: HardwareIRQ) throws(XIVEClientError) -> HardwareState {
    let attribute = xive_hwirq_attr(UInt32(phb.rawValue), UInt32(irq.rawValue))
    let answer: xive_hwirq_state = try device.get(XIVE_GROUP_HWIRQ, attribute) { error in
      error == .noSuchFileOrDirectory ? .noSuchInterrupt(phb, irq) : nil
    }
    return HardwareState(
      pq: PQ(rawValue: UInt8(truncatingIfNeeded: answer.pq)), isAsserted: answer.asserted != 0)
  }
}

/// What a guest's window asks as well, which has a descriptor and nothing else.
extension DeviceDescriptor {
  /// Asks about a PHB.
  func status(of phb: PHBIndex) throws(XIVEClientError) -> PHBStatus {
    let answer: xive_phb = try get(XIVE_GROUP_PHB, UInt64(phb.rawValue)) { error in
      error == .noSuchFileOrDirectory ? .noSuchPHB(phb) : nil
    }
    let shape = PHBShape(
      msiCount: answer.nr_msis, lsiCount: answer.nr_lsis,
      supportsStoreEOI: answer.flags & XIVE_PHB_STORE_EOI != 0)
    return PHBStatus(shape: shape, mappedCount: answer.mapped)
  }
}
