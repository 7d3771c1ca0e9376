public import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Performs one load.
  ///
  /// An absent page gives all ones, as a bus that nobody answers on: a source that was never created, the TIMA of a
  /// descriptor that is not connected, an END that is not valid, a fenced PHB. So does what a page does not know. An
  /// offset that the map does not have is refused.
  /// Source: QEMU `hw/intc/xive.c`, `xive_source_esb_ops`. Differs: QEMU lets an access of another size
  /// than 8 bytes read 0; here it is an error and nothing has happened.
  /// - Parameters:
  ///   - offset: byte offset in the file.
  ///   - bytes: filled with the register, big-endian.
  ///   - opener: the descriptor that it comes from; without write permission only loads without effect work.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for a size or offset that no page takes,
  ///   ``/PagedDevice/DeviceError/badDescriptor`` for a load that would change the source.
  public func load(at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener)
    throws(DeviceError)
  {
    if let place = stateOffset(offset) { return try loadState(at: place, into: &bytes) }
    if Region.traces.contains(offset >> Region.shift) {
      return try loadTrace(at: offset - Region.trace.start, into: &bytes, by: opener)
    }
    let target = try target(at: offset, byteCount: bytes.byteCount)
    let byteCount = bytes.byteCount
    let value =
      try gate.pass(stripe: stripe(of: offset, by: opener)) { () throws(DeviceError) -> UInt64? in
        switch target {
        case .esb, .phb: return try load(at: offset, of: target, by: opener)
        case .end(let index, let half):
          return try load(at: offset, of: ENDIndex(rawValue: index), half, by: opener)
        case .connectedTIMA, .tima:
          guard let (server, view) = server(of: target, for: opener) else {
            drop(.absentPage(offset), at: offset)
            return nil
          }
          return try load(
            at: offset, byteCount: byteCount, ofTIMA: server, view, by: opener)
        }
      } ?? .max
    if trace.isOn { trace.noteValue(value) }
    counters.exactLoads.add(1, stripe: stripe(of: offset, by: opener))
    for index in 0..<bytes.byteCount {
      let shift = UInt64(bytes.byteCount - 1 - index) * 8
      bytes.storeBytes(
        of: UInt8(truncatingIfNeeded: value >> shift), toByteOffset: index, as: UInt8.self)
    }
  }

  /// Performs one store; what is stored does not matter to an ESB page.
  ///
  /// A store to an absent page, or one that asks for nothing that the architecture knows, is dropped and
  /// counts as a guest error.
  /// Source: QEMU `hw/intc/xive.c`, `xive_source_esb_ops`. Differs: as for loads, a wrong size is an
  /// error instead of being dropped.
  /// - Parameters:
  ///   - bytes: what is stored.
  ///   - offset: byte offset in the file.
  ///   - opener: the descriptor that it comes from.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for a size or offset that no page takes,
  ///   ``/PagedDevice/DeviceError/badDescriptor`` without write permission.
  public func store(_ bytes: RawSpan, at offset: UInt64, by opener: Opener) throws(DeviceError) {
    if let place = stateOffset(offset) {
      guard opener.isWritable else { throw .badDescriptor }
      return try storeState(bytes, at: place)
    }
    let target = try target(at: offset, byteCount: bytes.byteCount)
    guard opener.isWritable else { throw .badDescriptor }
    let value = bytes.bigEndianValue
    if trace.isOn { trace.noteValue(value) }
    gate.pass(stripe: stripe(of: offset, by: opener)) {
      switch target {
      case .esb, .phb: store(at: offset, to: target)
      case .end(let index, let half):
        let index = ENDIndex(rawValue: index)
        if trace.isOn { trace.note(signature(of: index, half, at: offset)) }
        drop(.endStore(index), at: offset)
      case .connectedTIMA, .tima:
        guard let (server, view) = server(of: target, for: opener) else {
          return drop(.absentPage(offset), at: offset)
        }
        store(value, at: offset, byteCount: bytes.byteCount, inTIMA: server, view)
      }
    }
    counters.exactStores.add(1, stripe: stripe(of: offset, by: opener))
  }

  /// Performs a load on an ESB page. Inside the gate.
  /// - Returns: the value, or nil for what is dropped, which has been counted.
  private func load(
    at offset: UInt64, of target: PageTarget, by opener: Opener
  ) throws(DeviceError) -> UInt64? {
    guard let page = served(target) else {
      drop(.absentPage(offset), at: offset)
      return nil
    }
    if trace.isOn { trace.note(page.signature(at: offset)) }
    guard let event = event(for: .load(at: offset, of: page.half), on: page) else {
      countDropped(page, at: offset)
      return nil
    }
    guard event == .get || opener.isWritable else { throw .badDescriptor }
    return perform(event, on: page)
  }

  /// Performs a store on an ESB page. Inside the gate.
  private func store(at offset: UInt64, to target: PageTarget) {
    guard let page = served(target) else { return drop(.absentPage(offset), at: offset) }
    if trace.isOn { trace.note(page.signature(at: offset)) }
    guard let event = event(for: .store(at: offset, of: page.half), on: page) else {
      return countDropped(page, at: offset)
    }
    perform(event, on: page)
  }

  /// Counts an access to an ESB page that came to nothing. Inside the gate.
  private func countDropped(_ page: ServedPage, at offset: UInt64) {
    drop(pq(of: page) == nil ? .absentPage(offset) : .esbOperation(offset), at: offset)
  }

  /// Counts an access that came to nothing, and tells those who follow it why. Inside the gate.
  func drop(_ error: GuestError, at offset: UInt64) {
    watch.guestErred(error)
    if trace.isOn { trace.noteAbsence(absence(at: offset, after: error)) }
  }

  /// A number that differs between pages, for counters and the gate; for a vCPU's own TIMA between descriptors, for
  /// all of them lie at one offset.
  ///
  /// The lowest bits count; in a page's number they say which page it is of a source, an END or a server.
  func stripe(of offset: UInt64, by opener: Opener? = nil) -> Int {
    let page = offset >> map.pageShift
    guard let opener, page < DeviceMap.kernelESBPage else {
      return Int(truncatingIfNeeded: page >> 1 &+ page >> 5)
    }
    return Int(truncatingIfNeeded: opener.id)
  }

  /// Finds the page and checks what every page demands of size and alignment.
  private func target(at offset: UInt64, byteCount: Int) throws(DeviceError) -> PageTarget {
    guard let target = map.target(at: offset) else { throw .invalid }
    let fits =
      switch target {
      case .connectedTIMA, .tima: byteCount <= 8 && byteCount.nonzeroBitCount == 1
      case .esb, .end, .phb: byteCount == 8
      }
    guard fits, offset % UInt64(byteCount) == 0 else { throw .invalid }
    return target
  }
}

extension RawSpan {
  /// The bytes as one big-endian number; at most 8.
  fileprivate var bigEndianValue: UInt64 {
    byteOffsets.reduce(0) { value, index in
      value << 8 | UInt64(unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self))
    }
  }
}
