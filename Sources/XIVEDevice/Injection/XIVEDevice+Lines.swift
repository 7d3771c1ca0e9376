internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// The state of a source that events may be injected into.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for one that was never created.
  func injectable(_ lisn: LISN) throws(DeviceError) -> SourceState {
    guard lisn.rawValue < sourceLimit, backingWord(of: lisn) != nil else {
      note(.noSource(lisn))
      throw .invalid
    }
    return engine.cells.state(of: lisn)
  }

  /// Performs an event on a source's own state, as long as no hardware serves it.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive.c`, `kvmppc_xive_set_irq`.
  /// - Returns: whether an event left the source; nil where hardware serves it: nothing has happened then, but that it
  ///   was counted.
  func inject(_ event: SourceEvent, into lisn: LISN) -> Bool? {
    let stripe = Int(lisn.rawValue)
    return gate.pass(stripe: stripe) {
      guard sources.backings[lisn].backing == .ipi else {
        counters.refusedInjections.add(1, stripe: stripe)
        return nil
      }
      let forwards = act(event, on: lisn).forwards
      refresh(lisn)
      return forwards
    }
  }

  /// Sets the level of a source's line; to a message source level 1 is a trigger.
  /// - Returns: whether an event left the source.
  func setLine(of lisn: LISN, to isHigh: Bool) throws(DeviceError) -> Bool {
    _ = try injectable(lisn)
    counters.lines.add(1, stripe: Int(lisn.rawValue))
    guard let forwards = inject(isHigh ? .assert : .deassert, into: lisn) else {
      note(.mappedToHardware(lisn))
      throw .invalid
    }
    return forwards
  }

  // MARK: - The end of an interrupt

  /// Whether an event may end an interrupt that somebody wants to hear of.
  func mayEnd(_ event: SourceEvent, _ lisn: LISN) -> Bool {
    switch event {
    case .endOfInterrupt, .set(.reset): engine.cells.state(of: lisn).isShared
    default: false
    }
  }

  /// Performs such an event: the lines that irqfds hold are lowered together, then the interrupt ends, then they are
  /// told.
  ///
  /// A source ends by an EOI, and, as Linux ends interrupts of sources with an H_INT_ESB page, by PQ 00 where it was
  /// pending. What is switched off stays so.
  /// Source: Linux `virt/kvm/eventfd.c`, `irqfd_resampler_ack`.
  /// - Returns: the value that a load gives.
  func end(_ event: SourceEvent, _ lisn: LISN) -> UInt64 {
    let (value, told) = injection.withLock { state -> (UInt64, [any SharedEvent]) in
      let pq = engine.cells.state(of: lisn).pq
      let isPending = pq == .pending || pq == .queued
      guard isPending || event == .endOfInterrupt && pq == .reset else {
        return (act(event, on: lisn).value, [])
      }
      let sharing = state.sharing(lisn)
      for irqfd in sharing { irqfd.isHolding = false }
      perform(.lower, on: lisn)
      return (act(event, on: lisn).value, sharing.compactMap(\.resample))
    }
    for event in told { event.raise() }
    counters.resampled.add(UInt64(told.count), stripe: Int(lisn.rawValue))
    return value
  }
}
