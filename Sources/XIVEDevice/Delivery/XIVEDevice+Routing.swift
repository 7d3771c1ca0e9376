internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Has a source's events go to a queue, or drops them.
  ///
  /// Where the queue does not exist, or has as many sources as it is sure to have room for, that of another vCPU with
  /// the same priority takes its place.
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_update_source_config`;
  /// `book3s_xive.c`, `kvmppc_xive_select_target`. Differs: the mask counts also where nothing else changes, and a
  /// source that leaves a queue makes room.
  func route(
    _ lisn: LISN, to server: Server, _ priority: Priority, eisn: EISN, isMasked: Bool
  ) throws(DeviceError) {
    try delivery.withLock { state throws(DeviceError) in
      guard !isMasked else { return assign(.masked, to: lisn, &state) }
      // Its ENDs' numbers, cut off, would be another server's.
      guard server.rawValue < configuration.serverCount else { throw .invalid }
      let old = router.eas(of: lisn)
      let place = ENDIndex(server, priority)
      guard old != EAS(to: place, eisn: eisn) else { return }
      guard connections.isConnected(server) else { throw .invalid }
      let end =
        hasRoom(place, beside: old, state) ? place : substitute(for: priority, old, state)
      guard let end else { throw .busy }
      assign(EAS(to: end, eisn: eisn), to: lisn, &state)
    }
  }

  /// The first vCPU's END of a priority that has room for a source; nil when none has.
  private func substitute(for priority: Priority, _ old: EAS, _ state: DeliveryConfiguration)
    -> ENDIndex?
  {
    state.servers.values.map { ENDIndex($0, priority) }
      .filter { hasRoom($0, beside: old, state) }
      .min { $0.rawValue < $1.rawValue }
  }

  /// Replaces a source's EAS and keeps count of each END's sources.
  func assign(_ eas: EAS, to lisn: LISN, _ state: inout DeliveryConfiguration) {
    let old = router.eas(of: lisn)
    if old.isValid, !old.isMasked { state.sourceCounts[old.end, default: 1] -= 1 }
    if !eas.isMasked { state.sourceCounts[eas.end, default: 0] += 1 }
    router.setEAS(of: lisn, to: eas)
  }

  /// Whether an END has a queue with room for one more source, or has the source already.
  private func hasRoom(_ index: ENDIndex, beside old: EAS, _ state: DeliveryConfiguration) -> Bool {
    let end = router.end(at: index)
    guard end.isValid, end.isEnqueued else { return false }
    let isThere = old.isValid && !old.isMasked && old.end == index
    // Two entries are never used, as in the kernel: a full queue looks like an empty one.
    return isThere
      || state.sourceCounts[index, default: 0] < Int(end.queueEntryCount) - 2
  }

  /// Gives a vCPU a queue.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_set_queue_config`. Differs: a toggle
  /// or an index that the queue does not have is `EINVAL`.
  func setQueue(
    of server: Server, _ priority: Priority, at address: UInt64, shift: UInt32, flags: UInt32,
    toggle: UInt32, index: UInt32
  ) throws(DeviceError) {
    try delivery.withLock { state throws(DeviceError) in
      guard connections.isConnected(server) else { throw .notFound }
      guard priority.rawValue < 7 else { throw .invalid }
      let place = ENDIndex(server, priority)
      guard shift != 0 else { return router.setEND(at: place, to: END()) }
      guard flags == 1, shift == 16, address.isMultiple(of: 1 << 16),
        let queue = state.memory.queue(at: address, byteCount: 1 << 16)
      else { throw .invalid }
      var end = END(notifying: server, priority, queueAddress: address)
      guard toggle <= 1, index < end.queueEntryCount else { throw .invalid }
      end.generation = toggle
      end.queueIndex = index
      router.setEND(at: place, to: end, queue: queue)
    }
  }

  /// A vCPU's END.
  func queue(of server: Server, _ priority: Priority) throws(DeviceError) -> END {
    try delivery.withLock { state throws(DeviceError) in
      guard connections.isConnected(server) else { throw .notFound }
      guard priority.rawValue < 7 else { throw .invalid }
      return router.end(at: ENDIndex(server, priority))
    }
  }

  /// Replaces an END as firmware does.
  func setEND(at index: ENDIndex, to end: END) throws(DeviceError) {
    try delivery.withLock { state throws(DeviceError) in
      guard !end.isFormat1, !end.isGroup else { throw .invalid }
      guard end.isValid, end.isEnqueued else { return router.setEND(at: index, to: end) }
      // An index has 22 bits.
      guard end.queueShift <= 24, end.queueIndex < end.queueEntryCount,
        end.queueAddress.isMultiple(of: 1 << UInt64(end.queueShift)),
        let queue = state.memory.queue(
          at: end.queueAddress, byteCount: 1 << UInt64(end.queueShift))
      else { throw .invalid }
      router.setEND(at: index, to: end, queue: queue)
    }
  }

  /// Shares a part of the guest's RAM.
  /// - Parameters:
  ///   - slot: where; it must be empty.
  ///   - byteCount: how much.
  ///   - map: maps it, which may wait for the caller; without any lock.
  /// - Throws: ``/PagedDevice/DeviceError/outOfMemory`` when all slots would have more than ``GuestMemory/limit``, what
  ///   mapping throws, ``/PagedDevice/DeviceError/exists``.
  func addMemory(
    _ slot: Int, byteCount: UInt64, _ map: () throws(DeviceError) -> GuestMemory.Slot
  ) throws(DeviceError) {
    guard delivery.withLock({ $0.memory.reserve(byteCount) }) else { throw .outOfMemory }
    do {
      let part = try map()
      try delivery.withLock { state throws(DeviceError) in
        guard state.memory[slot] == nil, !state.memory.overlaps(part.range) else { throw .exists }
        state.memory[slot] = part
      }
    } catch {
      delivery.withLock { $0.memory.release(byteCount) }
      throw error
    }
  }

  /// Takes a part of the guest's RAM away; the queues in it are disabled.
  func removeMemory(_ slot: Int) throws(DeviceError) {
    try delivery.withLock { state throws(DeviceError) in
      guard let part = state.memory[slot] else { throw .notFound }
      router.disableENDs { end in
        end.isEnqueued && part.range.contains(end.queueAddress)
      }
      state.memory[slot] = nil
      state.memory.release(part.byteCount)
    }
  }

  /// A part of the guest's RAM.
  func memory(_ slot: Int) throws(DeviceError) -> GuestMemory.Slot {
    try delivery.withLock { state throws(DeviceError) in
      guard let part = state.memory[slot] else { throw .notFound }
      return part
    }
  }

  /// Masks all sources and disables all queues; sources, vCPUs and mappings stay. Without a vCPU the machine starts
  /// over.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_reset`. Differs: PQ becomes 01 also where a
  /// source was masked already; the kernel's device starts over when it is created again.
  func resetDelivery() {
    let startsOver = delivery.withLock { $0.servers.isEmpty }
    // Block by block: to poll and to close a descriptor take the lock, where nobody else may be reading requests.
    let count = Int(configuration.sourceCount)
    for first in stride(from: 0, to: count, by: SourceTable.blockSize) {
      let block = first..<min(first + SourceTable.blockSize, count)
      delivery.withLock { state in
        block.forEach { reset(LISN(rawValue: UInt32($0)), startsOver: startsOver, &state) }
      }
    }
    delivery.withLock { _ in router.disableENDs { _ in true } }
    if startsOver { startOver() }
    synchronize()
  }

  /// Masks a source, where it exists, and switches it off; one that starts over is a message source again, unless its
  /// line is shared.
  private func reset(
    _ lisn: LISN, startsOver: Bool, _ state: inout DeliveryConfiguration
  ) {
    gate.pass(stripe: Int(lisn.rawValue)) {
      guard let page = served(lisn, .management, by: sources.backings[lisn]) else { return }
      assign(.masked, to: lisn, &state)
      if !page.isOwn { perform(.set(.off), on: page) }
      let startsOver = startsOver && !engine.cells.state(of: lisn).isShared
      perform(startsOver ? .startOver : .disable, on: lisn)
    }
  }

  /// Waits until the events that are under way have reached their queues.
  func synchronize() { gate.drain() }
}
