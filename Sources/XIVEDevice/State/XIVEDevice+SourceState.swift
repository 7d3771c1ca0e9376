internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Region 0x1000: the state of all sources, 16 bytes a source.
extension XIVEDevice {
  /// The place in the region that an offset names; nil for another region.
  func stateOffset(_ offset: UInt64) -> UInt64? {
    offset >> Region.shift == Region.sourceState.rawValue ? offset - Region.sourceState.start : nil
  }

  /// Reads a part of the region, of any size.
  /// - Throws: `EINVAL` beyond the last source.
  func loadState(at offset: UInt64, into bytes: inout MutableRawSpan) throws(DeviceError) {
    let size = UInt64(SourceRecord.byteCount)
    let end = offset + UInt64(bytes.byteCount)
    guard end <= UInt64(sourceLimit) * size else { throw .invalid }
    var position = offset
    while position < end {
      let number = position / size
      let record = gate.pass(stripe: Int(number >> 4)) {
        self.record(of: LISN(rawValue: UInt32(number)))
      }
      let start = Int(position % size)
      let count = min(Int(size) - start, Int(end - position))
      let place = Int(position - offset)
      if count == Int(size) {
        bytes.storeBytes(of: record.config, toByteOffset: place, as: UInt64.self)
        bytes.storeBytes(of: record.flags, toByteOffset: place + 8, as: UInt64.self)
      } else {
        unsafe withUnsafeBytes(of: record.value) { value in
          for index in 0..<count {
            bytes.storeBytes(
              of: unsafe value[start + index], toByteOffset: place + index, as: UInt8.self)
          }
        }
      }
      position += UInt64(count)
    }
  }

  private func record(of lisn: LISN) -> SourceRecord {
    let word = sources.backings[lisn]
    var servingPQ: PQ?
    if case .phb(let index, let irq) = word.backing {
      servingPQ = phbs[index].flatMap { phb in
        phb.contains(irq) ? phb.cells.state(of: irq).pq : nil
      }
    }
    return SourceRecord(
      engine.cells.state(of: lisn), word, servingPQ: servingPQ, router.eas(of: lisn))
  }

  /// Replaces the state of sources: all records, or none.
  /// - Throws: `EINVAL` for a part of a record, beyond the last source, for a record that says what cannot be, for
  ///   one that disagrees with what the source is mapped to; `EBUSY` for a source that would be no LSI any more while
  ///   irqfds share its line.
  func storeState(_ bytes: RawSpan, at offset: UInt64) throws(DeviceError) {
    let size = SourceRecord.byteCount
    let limit = UInt64(configuration.sourceCount) * UInt64(size)
    guard offset.isMultiple(of: UInt64(size)), bytes.byteCount.isMultiple(of: size),
      offset + UInt64(bytes.byteCount) <= limit
    else { throw .invalid }
    let first = UInt32(offset / UInt64(size))
    let records = (0..<bytes.byteCount / size).map { index in
      SourceRecord(
        unsafe bytes.unsafeLoadUnaligned(
          fromByteOffset: index * size, as: xive_source_state.self))
    }
    // Backings do not change meanwhile, and no line begins to be shared; whoever has those locks takes none of these.
    try hotplug.withLock { _ throws(DeviceError) in
      try delivery.withLock { state throws(DeviceError) in
        guard Int(first) + records.count <= Int(sourceLimit) else { throw .invalid }
        for (index, record) in records.enumerated() {
          try check(record, of: LISN(rawValue: first + UInt32(index)))
        }
        for (index, record) in records.enumerated() {
          replace(LISN(rawValue: first + UInt32(index)), with: record, &state)
        }
      }
    }
  }

  private func check(_ record: SourceRecord, of lisn: LISN) throws(DeviceError) {
    guard record.isValid else {
      guard record.config == 0, record.flags == 0 else { throw .invalid }
      return
    }
    guard record.eas(serverLimit: configuration.serverCount) != nil,
      record.agrees(with: sources.backings[lisn]),
      record.state.isLSI || !record.state.isAsserted
    else { throw .invalid }
    guard record.state.isLSI || !engine.cells.state(of: lisn).isShared else { throw .busy }
  }

  private func replace(
    _ lisn: LISN, with record: SourceRecord, _ state: inout DeliveryConfiguration
  ) {
    guard record.isValid else {
      // A source that exists cannot be taken back: consumers may have its pages.
      guard backingWord(of: lisn) != nil else { return }
      assign(.masked, to: lisn, &state)
      gate.pass(stripe: Int(lisn.rawValue)) {
        if case .phb(let index, let irq) = sources.backings[lisn].backing, let phb = phbs[index] {
          perform(.set(.off), on: irq, of: phb)
        }
        perform(.disable, on: lisn)
      }
      return
    }
    sources.createBlock(of: lisn)
    guard let eas = record.eas(serverLimit: configuration.serverCount) else {
      preconditionFailure("checked before")
    }
    assign(eas, to: lisn, &state)
    gate.pass(stripe: Int(lisn.rawValue)) {
      var new = record.state
      if case .phb(let index, let irq) = sources.backings[lisn].backing, let phb = phbs[index] {
        // The source's own bits do not show while it is mapped.
        new.pq = engine.cells.state(of: lisn).pq
        perform(.set(record.pq), on: irq, of: phb)
      }
      perform(.replace(new), on: lisn)
      // While the machine is stopped it stays where it is.
      holding.release(lisn)
    }
    sources.backings.publishIPI(lisn)
  }
}
