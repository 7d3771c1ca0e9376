internal import PagedDevice
internal import XIVEModel

/// What a VMM sets up once, before it begins.
extension XIVEDevice {
  /// Limits the sources.
  ///
  /// Source of the rules: Linux `Documentation/virt/kvm/devices/arm-vgic-v3.rst`, `KVM_DEV_ARM_VGIC_GRP_NR_IRQS`.
  func setSourceLimit(_ count: UInt32) throws(DeviceError) {
    guard count > 0 else { throw .invalid }
    guard count <= configuration.sourceCount else { throw .outOfRange }
    try delivery.withLock { state throws(DeviceError) in
      guard count != sourceLimit || !state.hasSourceLimit else { return }
      guard !state.hasSourceLimit else {
        note(.sizeIsSet("NR_SOURCES", Int(sourceLimit)))
        throw .busy
      }
      if let others = sources.backings.run(from: Int(count)) {
        note(.sourceBeyond(LISN(rawValue: UInt32(others.lowerBound))))
        throw .busy
      }
      sourceLimit = count
      state.hasSourceLimit = true
    }
  }

  /// Limits the servers, before the first vCPU is connected.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive.c`, `kvmppc_xive_set_nr_servers`: more than there is room for is
  /// taken for that. Differs: another value than the one that was set is refused.
  func setServerLimit(_ count: UInt32) throws(DeviceError) {
    guard (1...UInt32(Server.maximumCount)).contains(count) else { throw .invalid }
    try delivery.withLock { state throws(DeviceError) in
      let limit = min(count, configuration.serverCount)
      guard !state.hasBegun, !state.hasServerLimit || limit == state.serverLimit else {
        note(.sizeIsSet("NR_SERVERS", Int(state.serverLimit)))
        throw .busy
      }
      state.serverLimit = limit
      state.hasServerLimit = true
    }
  }

  /// Notes where the guest sees a window, before the first vCPU is connected: 0 the TIMA, 1 the ESB pages.
  func setAddress(_ window: Int, to address: UInt64) throws(DeviceError) {
    guard address.isMultiple(of: map.pageByteCount),
      let range = range(of: window, at: address)
    else { throw .invalid }
    try delivery.withLock { state throws(DeviceError) in
      guard state.addresses[window] == nil else { throw .exists }
      guard !state.hasBegun else { throw .busy }
      if let other = state.addresses[1 - window].flatMap({ self.range(of: 1 - window, at: $0) }) {
        guard !other.overlaps(range) else { throw .invalid }
      }
      state.addresses[window] = address
    }
  }

  /// Where the guest sees a window; nil while nobody has said it.
  func address(_ window: Int) -> UInt64? { delivery.withLock { $0.addresses[window] } }

  /// The addresses of a window; nil where they end beyond the last one.
  private func range(of window: Int, at address: UInt64) -> ClosedRange<UInt64>? {
    let pages = window == 0 ? UInt64(TIMAView.allCases.count) : 2 * UInt64(sourceLimit)
    let (last, overflow) = address.addingReportingOverflow(pages * map.pageByteCount - 1)
    return overflow ? nil : address...last
  }

  /// Forgets what a VMM has set up, and lets the machine run, for the next one; nothing while a vCPU is connected.
  func startOver() {
    let isFree = delivery.withLock { state in
      guard state.servers.isEmpty else { return false }
      var fresh = DeliveryConfiguration(serverLimit: configuration.serverCount)
      fresh.waiters = state.waiters
      fresh.sourceCounts = state.sourceCounts
      fresh.memory = state.memory
      fresh.memory.removeAll()
      state = fresh
      sourceLimit = configuration.sourceCount
      for number in 0..<configuration.serverCount {
        router.presenter.clearBacklog(of: Server(rawValue: number))
      }
      return true
    }
    guard isFree else { return }
    injection.withLock { $0.messages = MessageTable() }
    setRunning(true)
  }
}
