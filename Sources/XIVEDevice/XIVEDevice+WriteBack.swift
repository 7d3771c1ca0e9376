internal import PagedDevice
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
    let page = offset & ~(map.pageByteCount - 1)
    guard image.byteCount == PageImage.byteCount, offset % UInt64(PageImage.byteCount) == 0,
      case .esb(let lisn, let half) = map.target(at: offset),
      sources.backings[lisn].backing == .ipi, isPresent(half)
    else {
      counters.guestErrors.add(1, stripe: 0)
      return
    }
    let tail = PageSignature(lisn, half, sources.backings[lisn], at: page).tail
    let slots = ledger.stores(
      in: image, at: offset, tail: tail, isTrigger: half == .trigger, since: round)
    for slot in slots {
      counters.mappedStores.add(1, stripe: Int(lisn.rawValue))
      if let event = engine.event(for: .store(at: UInt64(slot) * 8, of: half)) {
        perform(event, on: lisn)
      } else {
        counters.guestErrors.add(1, stripe: 0)
      }
    }
    // A store into the PQ window is no operation, but it has covered what consumers read there.
    if half == .management { refresh(lisn) }
    wakeHost()
  }
}
