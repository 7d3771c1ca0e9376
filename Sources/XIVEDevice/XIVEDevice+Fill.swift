public import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Names the image of a page, the answer to a fault.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `xive_native_esb_fault`,
  /// `xive_native_tima_fault`. Differs: the kernel inserts the host's own OS TIMA page; here, where no vCPU
  /// can be connected yet, it is a page of all ones.
  /// - Parameter offset: byte offset in the file, a multiple of 4,096.
  /// - Returns: the image.
  /// - Throws: ``/PagedDevice/PageFault`` where the kernel's device would raise `SIGBUS`.
  public func image(at offset: UInt64) throws(PageFault) -> PageImage {
    do {
      let image = try resolve(offset)
      counters.fills.add(1, stripe: Int(truncatingIfNeeded: offset >> 13))
      return image
    } catch {
      counters.refusedFills.add(1, stripe: 0)
      throw error
    }
  }

  private func resolve(_ offset: UInt64) throws(PageFault) -> PageImage {
    let page = offset & ~(map.pageByteCount - 1)
    switch map.target(at: offset) {
    case .esb(let lisn, let half):
      let word = sources.backings[lisn]
      guard word.backing == .ipi, isPresent(half) else { throw PageFault() }
      let tail = PageSignature(lisn, half, word, at: page).tail
      guard half == .management else { return PageImage(body: images.blank, tail: tail) }
      watched.watch(lisn, window(at: offset), part: UInt32((offset - page) / 4_096))
      return PageImage(body: images.management(engine.cells.state(of: lisn).pq), tail: tail)
    case .connectedTIMA(.os):
      // Nobody is connected: a TIMA whose every byte reads all ones.
      let signature = PageSignature(unconnected: .os, at: page)
      return PageImage(body: images.blank, tail: signature.tail)
    default:
      throw PageFault()
    }
  }

  /// Whether sources have this page: with one ESB page, that is the management page.
  func isPresent(_ half: ESBHalf) -> Bool {
    half == .management || configuration.geometry.pageCount == 2
  }

  func window(at offset: UInt64) -> ESBWindow {
    Region(rawValue: offset >> Region.shift) == .kernel ? .kernel : .esb
  }

  /// Hands over the bytes of mapped pages that have changed: PQ, and slots that stores left behind.
  /// - Parameter deliver: called for each run of bytes.
  public func takeUpdates(_ deliver: (PageUpdate) -> Void) {
    ledger.restore(deliver)
    changed.drain { lisn in
      let pages = watched.pages(of: lisn)
      let bytes = unsafe images.pqBytes(engine.cells.state(of: lisn).pq)
      for bit in 0..<UInt32(32) where pages >> bit & 1 == 1 {
        let start =
          bit < 16
          ? map.kernelOffset(of: lisn, .management) : map.offset(of: .esb(lisn, .management))
        let offset = start + UInt64(bit & 15) * 4_096 + UInt64(ImageBodies.pqWindow.lowerBound)
        deliver(unsafe PageUpdate(offset: offset, unsafeBytes: bytes))
      }
      counters.liveUpdates.add(1, stripe: 0)
    }
  }

  /// Finds the first run of existing pages that ends behind an offset.
  ///
  /// A run covers both pages of each source, also where sources have no trigger page.
  /// - Parameter offset: byte offset in the file.
  /// - Returns: byte offsets, or nil when no page follows.
  public func segment(endingAfter offset: UInt64) -> Range<UInt64>? {
    let size = map.pageByteCount
    let tima = map.offset(of: .connectedTIMA(.os))
    if offset < tima + size { return tima..<tima + size }
    for window in ESBWindow.allCases {
      let base =
        window == .kernel ? map.kernelOffset(of: LISN(rawValue: 0), .trigger) : Region.esb.start
      let first = offset > base ? Int(clamping: (offset - base) / (2 * size)) : 0
      if let run = sources.backings.run(from: first) {
        let start = base + UInt64(run.lowerBound) * 2 * size
        return start..<base + UInt64(run.upperBound) * 2 * size
      }
    }
    return nil
  }
}
