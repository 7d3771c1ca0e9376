public import PagedDevice
internal import Synchronization
public import XIVEModel

extension XIVEDevice {
  /// Maps a run of sources to the interrupts of a PHB, all of it or nothing.
  ///
  /// From here on the sources' pages are the PHB's. The PHB's interrupts are pending (queued, where one was
  /// pending or the source had an event queued), so that the guest has to end them first.
  /// Source: Linux `arch/powerpc/kvm/book3s_xive.c`, `kvmppc_xive_set_mapped`; `arch/powerpc/sysdev/xive/common.c`,
  /// `xive_irq_set_vcpu_affinity`. Differs: the kernel drops the pages before it records the new backing, so that a
  /// fault in between brings an old page back for good; and an event that is queued in the source is lost there.
  /// - Parameters:
  ///   - run: sources and interrupts.
  ///   - prefault: whether the new pages are filled before the caller is answered.
  /// - Returns: what must be carried out before anybody is told that the sources are mapped.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for an empty run, for a source that was never created, and for
  ///   one, or an interrupt, that is mapped already; ``/PagedDevice/DeviceError/outOfRange`` for sources beyond the
  ///   table; ``/PagedDevice/DeviceError/notFound`` for a PHB or an interrupt that does not exist.
  public func map(_ run: PassthroughRun, prefault: Bool = false) throws(DeviceError) -> Invalidation
  {
    let transition = try hotplug.withLock { _ throws(DeviceError) in
      let (phb, pairs) = try self.pairs(run)
      let steps = try pairs.map { lisn, irq throws(DeviceError) in
        let old = sources.backings[lisn]
        guard old.backing == .ipi, phb.lisn(servedBy: irq) == nil else { throw .invalid }
        return Transition.Step(
          lisn: lisn, old: old, new: old.next(.phb(phb.index, irq)), irq: irq)
      }
      return begin(Transition(.map, steps, phb, origin: trace.originIfOn))
    }
    return invalidation(transition, prefault: prefault)
  }

  /// Unmaps a run of sources from the interrupts that they are mapped to, all of it or nothing.
  ///
  /// The sources' pages are the controller's own again, pending: a trigger is queued until the guest ends the
  /// interrupt. The PHB's interrupts are ended for the host, which gets an event that was queued.
  /// Source: Linux `arch/powerpc/kvm/book3s_xive.c`, `kvmppc_xive_clr_mapped`.
  /// - Parameters:
  ///   - run: sources and the interrupts that serve them.
  ///   - prefault: whether the sources' own pages are filled before the caller is answered.
  /// - Returns: what must be carried out before anybody is told.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for an empty run, ``/PagedDevice/DeviceError/outOfRange`` for
  ///   sources beyond the table, ``/PagedDevice/DeviceError/notFound`` where a source is not mapped to its interrupt.
  public func unmap(_ run: PassthroughRun, prefault: Bool = false) throws(DeviceError)
    -> Invalidation
  {
    let transition = try hotplug.withLock { _ throws(DeviceError) in
      let (phb, pairs) = try self.pairs(run)
      let steps = try pairs.map { lisn, irq throws(DeviceError) in
        let old = sources.backings[lisn]
        guard old.backing == .phb(phb.index, irq) else { throw .notFound }
        return Transition.Step(lisn: lisn, old: old, new: old.next(.ipi), irq: irq)
      }
      return begin(Transition(.unmap, steps, phb, origin: trace.originIfOn))
    }
    return invalidation(transition, prefault: prefault)
  }

  /// Checks the sources of a run.
  func check(_ count: UInt32, from first: LISN) throws(DeviceError) {
    guard count > 0 else { throw .invalid }
    guard UInt64(first.rawValue) + UInt64(count) <= UInt64(sourceLimit) else {
      throw .outOfRange
    }
  }

  private func pairs(_ run: PassthroughRun) throws(DeviceError) -> (PHB, [(LISN, HardwareIRQ)]) {
    try check(run.count, from: run.firstLISN)
    let first = run.firstLISN.rawValue
    guard let phb = phbs[run.phb], !phb.isLeaving,
      UInt64(run.firstIRQ.rawValue) + UInt64(run.count) <= phb.shape.irqCount
    else { throw .notFound }
    return (
      phb,
      (0..<run.count).map {
        (
          LISN(rawValue: first + $0),
          HardwareIRQ(rawValue: UInt16(UInt32(run.firstIRQ.rawValue) + $0))
        )
      }
    )
  }

  /// Publishes a change, unless it is to be done wrong. Under the hot-plug lock.
  func begin(_ transition: Transition) -> Transition {
    // A change that has not come to its end must leave what this one needs in order first.
    for other in transitions.withLock({ $0 }) {
      for step in transition.steps(sharedBy: other) { settleEarly(step, of: other) }
    }
    // Before it is published: an image that comes from an old page is known by it.
    transitions.withLock { $0.append(transition) }
    if configuration.sabotage != .zapFirst { publish(transition) }
    return transition
  }

  private func publish(_ transition: Transition) {
    let phb = transition.phb
    if transition.isRemoval { phb.leave() }
    if transition.kind == .map {
      for step in transition.steps { _ = phb.cells.perform(.passThrough, on: step.irq) }
      // An event that left an interrupt before it was queued is the host's, and must not find the source.
      gate.drain()
    }
    for step in transition.steps {
      switch transition.kind {
      case .map: phb.serve(step.lisn, by: step.irq)
      case .unmap:
        engine.perform(.restore, on: step.lisn)
        phb.serve(nil, by: step.irq)
      }
      sources.backings.publish(step.lisn, step.new)
      watched.forget(Int(step.lisn.rawValue))
      refresh(step.irq, of: phb)
    }
    if trace.isOn { trace.published(transition) }
    // Accesses that found the old backing have taken effect when this returns.
    gate.drain()
  }

  /// Brings a source and its interrupt to where a change leaves them, once old pages cannot be stored to. Under the
  /// hot-plug lock.
  ///
  /// Inside the gate, as all events: whoever waits for those that are under way waits for what leaves here.
  private func settle(_ step: Transition.Step, of transition: Transition) {
    gate.pass(stripe: Int(step.lisn.rawValue)) {
      switch transition.kind {
      case .map:
        let old = PQ(
          rawValue: UInt8(truncatingIfNeeded: engine.perform(.set(.off), on: step.lisn)))
        // What was queued in the source comes when the guest ends the interrupt that it is handling.
        if old == .queued { perform(.trigger, on: step.irq, of: transition.phb) }
      case .unmap:
        perform(.endOfInterrupt, on: step.irq, of: transition.phb)
      }
    }
  }

  /// Does so for another change that is about to be published, while old pages may still be stored to.
  private func settleEarly(_ step: Transition.Step, of transition: Transition) {
    guard transition.settledEarly.insert(step.lisn).inserted else { return }
    // A source that is unmapped before it was switched off stays as it is: triggers of old pages must find it on.
    guard transition.kind == .unmap else { return }
    settle(step, of: transition)
  }

  /// Ends a change: no page of before can be reached. On the thread that drops pages.
  private func finish(_ transition: Transition) {
    hotplug.withLock { _ in
      if configuration.sabotage == .zapFirst { publish(transition) }
      for step in transition.steps where !transition.settledEarly.contains(step.lisn) {
        settle(step, of: transition)
      }
    }
    transitions.withLock { list in list.removeAll { $0 === transition } }
    ledger.forget { key in self.isGone(key, with: transition) }
    if trace.isOn { trace.ended(transition) }
    guard transition.isRemoval else { return }
    // Under the lock, for whoever holds it looks the PHB up outside the gate.
    hotplug.withLock { _ in phbs.remove(transition.phb.index, afterDraining: gate) }
  }

  /// Whether a page was of the backing that a change has ended, or of one before that: a change that was published
  /// earlier may be finished later.
  private func isGone(_ key: WriteBackLedger.Key, with transition: Transition) -> Bool {
    switch map.target(at: key.offset) {
    case .esb(let lisn, _):
      // Their distance tells the order, also where the count has begun anew.
      if let old = transition.old(lisn) {
        old.generation &- key.generation < 1 << 31
      } else {
        transition.others.contains(lisn)
          && sources.backings[lisn].generation &- key.generation &- 1 < 1 << 31
      }
    case .phb(let index, _): transition.isRemoval && index == transition.phb.index
    default: false
    }
  }

  /// What has to be dropped: one range a window for each run of sources, and the own pages of a PHB that goes.
  func invalidation(_ transition: Transition, prefault: Bool) -> Invalidation {
    let windows: [ESBWindow] =
      configuration.sabotage == .skipAlias ? [.esb] : ESBWindow.allCases
    let runs = transition.runs
    var ranges = windows.flatMap { window in runs.map { range(of: $0, window) } }
    if transition.isRemoval { ranges.append(range(of: transition.phb)) }
    counters.zaps.add(UInt64(ranges.count), stripe: 0)
    // What is filled anew would cover the mistake.
    let refilled = prefault && configuration.sabotage == nil ? ranges : []
    return Invalidation(ranges, reason: transition.reason, prefault: refilled) { [self] in
      finish(transition)
    }
  }

  private func range(of run: Range<UInt32>, _ window: ESBWindow) -> Range<UInt64> {
    let start = offset(of: LISN(rawValue: run.lowerBound), .trigger, window)
    return start..<start + UInt64(run.count) * 2 * map.pageByteCount
  }

  private func range(of phb: PHB) -> Range<UInt64> {
    let start = Region.phb(phb.index).start
    return start..<start + phb.shape.irqCount * map.pageByteCount
  }
}
