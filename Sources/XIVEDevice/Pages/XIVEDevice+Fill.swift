public import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Names the image of a page, the answer to a fault.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `xive_native_esb_fault`,
  /// `xive_native_tima_fault`. Differs: the kernel inserts the host's own OS TIMA page, which shows each CPU its own
  /// registers; here it is that of the only vCPU, all ones while there is none, and no page while there are more.
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
      if trace.isOn { trace.noteAbsence(absence(at: offset, after: nil)) }
      throw error
    }
  }

  private func resolve(_ offset: UInt64) throws(PageFault) -> PageImage {
    let start = offset & ~(map.pageByteCount - 1)
    guard let target = map.target(at: offset) else { throw PageFault() }
    let part = UInt32((offset - start) / 4_096)
    return try gate.pass(stripe: stripe(of: offset)) { () throws(PageFault) -> PageImage in
      switch target {
      case .connectedTIMA, .tima:
        let server = try mappedTIMA(target)
        let window: ESBWindow = target == .connectedTIMA(.os) ? .kernel : .esb
        watch.watchedTIMAs.watch(watch.place(of: server), WatchedPart(window, part: part))
        if trace.isOn {
          trace.note(
            server.map { signature(ofTIMA: $0, at: start) }
              ?? PageSignature(unconnected: .os, at: start))
        }
        return image(ofTIMA: server, at: start)
      case .end(let index, let half):
        let index = ENDIndex(rawValue: index)
        let image = try image(of: index, half, at: start, part: part)
        if trace.isOn { trace.note(signature(of: index, half, at: start)) }
        return image
      case .esb, .phb: break
      }
      guard let page = served(target) else { throw PageFault() }
      let identity = page.signature(at: start)
      guard page.half == .management else {
        if trace.isOn { trace.note(identity) }
        return PageImage(body: images.blank, tail: identity.tail)
      }
      watch(page, at: offset, part: part)
      let pq = pq(of: page)
      if trace.isOn { trace.note(identity, showing: pq) }
      return PageImage(body: images.management(pq), tail: identity.tail)
    }
  }

  /// Notes that a page that shows PQ is about to be filled.
  private func watch(_ page: ServedPage, at offset: UInt64, part: UInt32) {
    if let lisn = page.lisn {
      watched.watch(Int(lisn.rawValue), WatchedPart(page.parity, window(at: offset), part: part))
    } else if case .phb(let phb, let irq) = page.owner {
      phb.watched.watch(Int(irq.rawValue), WatchedPart(part: part))
    }
  }

  func window(at offset: UInt64) -> ESBWindow {
    Region(rawValue: offset >> Region.shift) == .kernel ? .kernel : .esb
  }

  /// The offset of a source's page in a window.
  func offset(of lisn: LISN, _ half: ESBHalf, _ window: ESBWindow) -> UInt64 {
    window == .kernel ? map.kernelOffset(of: lisn, half) : map.offset(of: .esb(lisn, half))
  }
}
