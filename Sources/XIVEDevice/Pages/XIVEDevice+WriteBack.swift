internal import PagedDevice
internal import Synchronization
internal import XIVEModel

extension XIVEDevice {
  /// Turns the image of a page that was stored to through mappings into operations.
  ///
  /// On a trigger page any write-back is one trigger. On a management page each slot that differs from what
  /// was served is one store at its offset, in ascending order; an image without a difference repeats the
  /// store before it, if that was one store alone. Then the slots are put back, so that the next store is
  /// seen. So a store of what the page already shows, all ones, is seen only as such a repetition.
  /// - Parameters:
  ///   - image: 4,096 bytes.
  ///   - offset: byte offset in the file, a multiple of 4,096.
  public func writeBack(_ image: RawSpan, at offset: UInt64) {
    writeBack(image, at: offset, since: updateRound)
  }

  /// How often slots have been put back.
  public var updateRound: UInt64 { ledger.round }

  /// Does the same for an image that may be older than the slots' last putting back.
  /// - Parameters:
  ///   - image: 4,096 bytes.
  ///   - offset: byte offset in the file, a multiple of 4,096.
  ///   - round: ``updateRound`` before the image was made.
  public func writeBack(_ image: RawSpan, at offset: UInt64, since round: UInt64) {
    if trace.isOn { trace.noteImage() }
    let isTaken =
      image.byteCount == PageImage.byteCount && offset % UInt64(PageImage.byteCount) == 0
      && gate.pass(stripe: stripe(of: offset)) { take(image, at: offset, since: round) }
    if !isTaken { drop(.image(offset), at: offset) }
  }

  /// Performs what an image shows on whatever served the page when the image was filled.
  /// - Returns: whether there is such a page.
  private func take(_ image: RawSpan, at offset: UInt64, since round: UInt64) -> Bool {
    let start = offset & ~(map.pageByteCount - 1)
    guard let target = map.target(at: offset) else { return false }
    if let isDropped = dropStores(to: target, at: offset) { return isDropped }
    guard let page = origin(of: image, target, at: start), !isReassigned(page) else {
      return false
    }
    let slots = ledger.stores(
      in: image, at: WriteBackLedger.Key(offset: offset, generation: page.generation),
      tail: page.signature(at: start).tail, isTrigger: page.half == .trigger, since: round)
    if trace.isOn { trace.note(page.signature(at: start)) }
    for slot in slots {
      counters.mappedStores.add(1, stripe: stripe(of: offset))
      let place = offset + UInt64(slot) * 8
      if let event = event(for: .store(at: UInt64(slot) * 8, of: page.half), on: page) {
        perform(event, on: page)
      } else {
        drop(.esbOperation(place), at: place)
      }
      if trace.isOn {
        trace.stored(
          unsafe image.unsafeLoadUnaligned(fromByteOffset: slot * 8, as: UInt64.self).bigEndian,
          at: place)
      }
    }
    // A store into the PQ window is no operation, but it has covered what consumers read there.
    if page.half == .management { refresh(page) }
    wakeHost()
    return true
  }

  /// Drops what was stored to a page that only exact accesses change: a TIMA's or an END's, whose bytes are put back.
  /// - Returns: whether there is such a page; nil for a page of another kind.
  private func dropStores(to target: PageTarget, at offset: UInt64) -> Bool? {
    switch target {
    case .esb, .phb: return nil
    case .connectedTIMA, .tima:
      let server: Server?
      do throws(PageFault) { server = try mappedTIMA(target) } catch { return false }
      drop(server.map { .timaStore($0) } ?? .absentPage(offset), at: offset)
      watch.timaCovered(server)
    case .end(let index, _):
      let index = ENDIndex(rawValue: index)
      guard hasBeenConnected(Server(rawValue: index.rawValue / 8)) else { return false }
      drop(.endStore(index), at: offset)
      watch.endCovered(index)
    }
    return true
  }

  private func refresh(_ page: ServedPage) {
    switch page.owner {
    case .source(let lisn): refresh(lisn)
    case .phb(let phb, let irq): refresh(irq, of: phb)
    }
  }

  /// Finds which page an image was filled from: what serves it now, or, while old pages are being dropped, what
  /// served it before. A store belongs to the page that it was made on.
  private func origin(of image: RawSpan, _ target: PageTarget, at start: UInt64) -> ServedPage? {
    guard case .esb(let lisn, let parity) = target else {
      return servedOrLeaving(target)
    }
    let now = served(target)
    // Looked up after what serves it now: a change is noted here before it is published.
    let before = transitions.withLock { $0 }
      // Where its PHB has gone, its pages have; another may be in its place.
      .filter { $0.kind == .map || phbs[$0.phb.index] === $0.phb }
      .compactMap { $0.old(lisn) }.compactMap { served(lisn, parity, by: $0) }
    guard !before.isEmpty else {
      return now.flatMap { isOlder(image, $0, at: start) ? nil : $0 }
    }
    // Stores may have covered parts of the signature: the page that more of it speaks for.
    return ([now].compactMap { $0 } + before).max {
      agreement(image, $0, at: start) < agreement(image, $1, at: start)
    }
  }

  /// Whether an image is of an earlier backing whose end has been answered: its generation is lower, and what it names
  /// is something else. A store over the generation alone is not taken for that.
  ///
  /// Before Linux 6.16 the kernel writes copies of pages back, which a zap does not wait for.
  private func isOlder(_ image: RawSpan, _ page: ServedPage, at start: UInt64) -> Bool {
    let words = page.signature(at: start).registers
    func word(_ index: Int) -> UInt64 {
      let offset = ImageBodies.byteCount + index * 8
      return UInt64(
        bigEndian: unsafe image.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    let generation = PageSignature.generationWord
    return (1..<words[generation]).contains(word(generation))
      && PageSignature.backingWords.contains { word($0) != words[$0] }
  }

  /// Whether a page was of an interrupt that serves another source by now: the store comes too late for it.
  private func isReassigned(_ page: ServedPage) -> Bool {
    guard let lisn = page.lisn, case .phb(let phb, let irq) = page.owner,
      let now = phb.lisn(servedBy: irq)
    else { return false }
    return now != lisn
  }

  /// As ``served(_:)``, but a PHB's own page is there until its removal has come to its end.
  private func servedOrLeaving(_ target: PageTarget) -> ServedPage? {
    guard case .phb(let index, let irq) = target, let phb = phbs[index], phb.contains(irq) else {
      return nil
    }
    return ServedPage(
      owner: .phb(phb, irq), lisn: nil, parity: .management, generation: phb.generation)
  }

  /// How much of an image's signature is that of a page.
  private func agreement(_ image: RawSpan, _ page: ServedPage, at start: UInt64) -> Int {
    let tail = page.signature(at: start).tail
    return tail.indices.count { index in
      let offset = ImageBodies.byteCount + index * 8
      return unsafe image.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
        == tail[index]
    }
  }
}
