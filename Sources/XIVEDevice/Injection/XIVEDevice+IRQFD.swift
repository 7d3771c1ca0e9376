internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Ties eventfds to a source.
  ///
  /// Source: Linux `virt/kvm/eventfd.c`, `kvm_irqfd_assign`. Differs: what could never work is refused.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for such a thing, ``/PagedDevice/DeviceError/busy`` for an eventfd
  ///   that is tied already, ``/PagedDevice/DeviceError/outOfMemory`` when it cannot be listened to, and for one more
  ///   than ``Injection/sharingLimit`` on a line.
  func assign(_ irqfd: IRQFD) throws(DeviceError) {
    // Whoever makes another kind of source of it looks, under the outer lock, whether it is shared.
    try delivery.withLock { _ throws(DeviceError) in
      try injection.withLock { state throws(DeviceError) in
        try checkFits(irqfd)
        let taken = state.irqfd(
          of: irqfd.event, irqfd.resample, at: irqfd.event == nil ? irqfd.lisn : nil)
        guard taken == nil else { throw .busy }
        guard state.hasRoom(for: irqfd) else { throw .outOfMemory }
        state.insert(irqfd)
        if irqfd.resample != nil { perform(.share, on: irqfd.lisn) }
      }
    }
    do {
      try irqfd.event?.listen { [unowned self, unowned irqfd] in inject(irqfd) }
    } catch {
      remove(irqfd)
      throw error
    }
    injection.withLock { _ in irqfd.isSettled = true }
  }

  /// Refuses a line that nothing would lower, and an end that nobody would tell.
  private func checkFits(_ irqfd: IRQFD) throws(DeviceError) {
    let isLSI = try injectable(irqfd.lisn).isLSI
    guard isLSI != (irqfd.resample != nil) else { return }
    note(isLSI ? .neverLowered(irqfd.lisn) : .neverResampled(irqfd.lisn))
    throw .invalid
  }

  /// Unties eventfds from a source; when this returns nothing more comes of them. Those that are not tied are no error.
  ///
  /// Source: Linux `virt/kvm/eventfd.c`, `kvm_irqfd_deassign`.
  func deassign(
    _ lisn: LISN, _ event: (any SharedEvent)?, _ resample: (any SharedEvent)?, by opener: Opener
  ) {
    let found = injection.withLock { state -> IRQFD? in
      guard let irqfd = state.irqfd(of: event, resample, at: lisn), irqfd.isSettled,
        irqfd.opener == opener.id
      else { return nil }
      irqfd.isSettled = false
      return irqfd
    }
    guard let found else { return }
    found.event?.stopListening(draining: true)
    remove(found)
  }

  /// Unties all that hangs on a descriptor.
  func deassignAll(of opener: Opener) {
    let found = injection.withLock { state in
      let found = state.irqfds(of: opener.id)
      found.forEach { $0.isSettled = false }
      return found
    }
    for irqfd in found {
      irqfd.event?.stopListening(draining: false)
      remove(irqfd)
    }
  }

  private func remove(_ irqfd: IRQFD) {
    injection.withLock { state in
      guard state.remove(irqfd), irqfd.resample != nil else { return }
      let others = state.sharing(irqfd.lisn)
      if irqfd.isHolding, !others.contains(where: \.isHolding) { perform(.lower, on: irqfd.lisn) }
      if others.isEmpty { perform(.unshare, on: irqfd.lisn) }
    }
  }

  /// An eventfd was raised. On the thread that listens.
  private func inject(_ irqfd: IRQFD) {
    counters.injections.add(1, stripe: Int(irqfd.lisn.rawValue))
    guard irqfd.resample != nil else {
      _ = inject(.trigger, into: irqfd.lisn)
      return
    }
    injection.withLock { _ in
      if inject(.raise, into: irqfd.lisn) != nil { irqfd.isHolding = true }
    }
  }
}
