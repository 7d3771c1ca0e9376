public import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Hands over the bytes of mapped pages that have changed: PQ, and slots that stores left behind.
  /// - Parameter deliver: called for each run of bytes.
  public func takeUpdates(_ deliver: (PageUpdate) -> Void) {
    ledger.restore(deliver)
    changed.drain { updateSource(LISN(rawValue: UInt32($0)), deliver) }
    changedPHBs.drain { updatePHB(PHBIndex(rawValue: UInt16($0)), deliver) }
    updateTIMAs(deliver)
    updateENDs(deliver)
    wakeTraceReaders()
  }

  /// Brings the mapped pages of a source up to date, as what serves them now wants it.
  private func updateSource(_ lisn: LISN, _ deliver: (PageUpdate) -> Void) {
    let now = gate.pass(stripe: Int(lisn.rawValue)) {
      served(lisn, .management, by: sources.backings[lisn])
        .map { (pq: pq(of: $0), isOwn: $0.isOwn) }
    }
    guard let now else { return }
    watched.forEachPart(of: Int(lisn.rawValue)) { part in
      // A trigger page shows no PQ; the note is left of a PHB that was mapped there.
      guard part.half == .management || !now.isOwn else { return }
      update(offset(of: lisn, part.half, part.window) + part.offset, now.pq, deliver)
    }
    counters.liveUpdates.add(1, stripe: 0)
  }

  /// Brings the own pages of a PHB's changed interrupts up to date.
  private func updatePHB(_ index: PHBIndex?, _ deliver: (PageUpdate) -> Void) {
    guard let index, let phb = gate.pass(stripe: 0, { phbs[index] }), !phb.isLeaving else { return }
    phb.changed.drain { number in
      let irq = HardwareIRQ(rawValue: UInt16(number))
      let pq = phb.isFenced ? nil : phb.cells.state(of: irq).pq
      phb.watched.forEachPart(of: number) { part in
        update(map.offset(of: .phb(index, irq)) + part.offset, pq, deliver)
      }
      counters.liveUpdates.add(1, stripe: 0)
    }
  }

  func update(_ page: UInt64, _ pq: PQ?, _ deliver: (PageUpdate) -> Void) {
    let offset = page + UInt64(ImageBodies.pqWindow.lowerBound)
    deliver(unsafe PageUpdate(offset: offset, unsafeBytes: images.pqBytes(pq)))
  }

  /// Hands over all bytes of an image.
  func restore(_ image: PageImage, at offset: UInt64, _ deliver: (PageUpdate) -> Void) {
    let line = PageImage.lineByteCount
    let start = image.head == nil ? 0 : line
    if let head = image.head {
      unsafe withUnsafeBytes(of: head) { bytes in
        deliver(unsafe PageUpdate(offset: offset, unsafeBytes: bytes))
      }
    }
    let body = unsafe UnsafeRawBufferPointer(
      rebasing: image.body[start..<PageImage.byteCount - line])
    deliver(unsafe PageUpdate(offset: offset + UInt64(start), unsafeBytes: body))
    unsafe withUnsafeBytes(of: image.tail) { bytes in
      deliver(
        unsafe PageUpdate(offset: offset + UInt64(PageImage.byteCount - line), unsafeBytes: bytes))
    }
  }
}
