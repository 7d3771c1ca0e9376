internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// Where events go: guest memory, queues and routes, by the kernel's groups 1 and 3 to 5 and groups 0x45 and
/// 0x51 of the device's ABI, `xive.h`.
///
/// Priorities are 0 to 6, the more favored the lower. A change needs a writable descriptor, and has had its
/// effect when the call returns. Errors of the kernel's groups: Linux `arch/powerpc/kvm/book3s_xive_native.c`.
extension XIVEDescriptor {
  // MARK: - Guest memory

  /// Shows the device a part of guest RAM.
  /// - Parameters:
  ///   - memory: the memory; it may be given up afterwards.
  ///   - slot: 0 to 31.
  ///   - address: its guest-physical address, a multiple of the system's page size.
  ///   - offset: where the part begins in the memory, in bytes; a multiple of the system's page size.
  ///   - byteCount: the part's bytes; up to the memory's end unless told otherwise.
  /// - Throws: ``DeliveryError/memorySlot(_:_:)``.
  public func addMemory(
    _ memory: GuestMemory, slot: UInt32, at address: UInt64, offset: UInt64 = 0,
    byteCount: UInt64? = nil
  ) throws(XIVEClientError) {
    let end = UInt64(memory.byteCount)
    let byteCount = byteCount ?? (end - min(offset, end))
    // Size 0 would remove the slot; what lies behind the end is another's.
    guard byteCount > 0, byteCount <= end, offset <= end - byteCount else {
      throw .delivery(.memorySlot(slot, .invalidArgument))
    }
    try setMemory(
      slot,
      xive_memory(
        gpa: address, size: byteCount, fd: memory.descriptor, zero: 0,
        offset: memory.fileOffset + offset))
  }

  /// Takes a part of guest RAM from the device; the queues in it are disabled.
  /// - Parameter slot: 0 to 31.
  /// - Throws: ``DeliveryError/memorySlot(_:_:)``.
  public func removeMemory(slot: UInt32) throws(XIVEClientError) {
    try setMemory(slot, xive_memory(gpa: 0, size: 0, fd: -1, zero: 0, offset: 0))
  }

  private func setMemory(_ slot: UInt32, _ memory: xive_memory) throws(XIVEClientError) {
    try device.set(XIVE_GROUP_MEMORY, UInt64(slot), memory) { .delivery(.memorySlot(slot, $0)) }
  }

  /// Asks for a part of guest RAM.
  /// - Parameter slot: 0 to 31.
  /// - Returns: where it is, or nil when the slot is empty.
  /// - Throws: ``DeliveryError/memorySlot(_:_:)`` for another slot.
  public func memory(slot: UInt32) throws(XIVEClientError) -> MemorySlot? {
    let answer: xive_memory
    do throws(XIVEClientError) {
      answer = try device.get(XIVE_GROUP_MEMORY, UInt64(slot)) { .delivery(.memorySlot(slot, $0)) }
    } catch .delivery(.memorySlot(slot, .noSuchFileOrDirectory)) { return nil }
    guard answer.size > 0 else { return nil }
    return MemorySlot(address: answer.gpa, byteCount: answer.size, fileOffset: answer.offset)
  }

  // MARK: - Queues

  /// Gives a server a queue of 64 KiB for a priority. What lies there counts: ``EventQueue/clear()`` it first.
  /// - Parameters:
  ///   - server: a server that has a vCPU.
  ///   - priority: 0 to 6.
  ///   - address: guest-physical, a multiple of 64 KiB, within one memory slot.
  ///   - position: where the device begins to write.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``, ``DeliveryError/notConnected(_:)``,
  ///   ``DeliveryError/noSuchPriority(_:)``,
  ///   ``DeliveryError/queueAddress(_:_:_:)``.
  public func configureQueue(
    _ server: Server, _ priority: Priority, at address: UInt64,
    from position: QueuePosition = .start
  ) throws(XIVEClientError) {
    guard (0..<EventQueue.byteCount / 4).contains(position.index) else {
      throw .value("index", UInt64(clamping: position.index))
    }
    var queue = xive_eq()
    queue.flags = UInt32(KVM_XIVE_EQ_ALWAYS_NOTIFY)
    queue.qshift = 16
    queue.qaddr = address
    queue.qtoggle = position.generation ? 1 : 0
    queue.qindex = UInt32(position.index)
    try setQueue(server, priority, queue)
  }

  /// Takes a server's queue for a priority away; its events are dropped from then on.
  /// - Parameters:
  ///   - server: a server that has a vCPU.
  ///   - priority: 0 to 6.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``, ``DeliveryError/notConnected(_:)``,
  ///   ``DeliveryError/noSuchPriority(_:)``.
  public func disableQueue(_ server: Server, _ priority: Priority) throws(XIVEClientError) {
    try setQueue(server, priority, xive_eq())
  }

  func setQueue(_ server: Server, _ priority: Priority, _ queue: xive_eq)
    throws(XIVEClientError)
  {
    let attribute = try queueID(server, priority)
    try device.set(UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG), attribute, queue) { error in
      switch error {
      case .noSuchFileOrDirectory: .delivery(.notConnected(server))
      case .invalidArgument: .delivery(.queueAddress(server, priority, queue.qaddr))
      default: nil
      }
    }
  }

  /// Asks for a server's queue for a priority.
  /// - Parameters:
  ///   - server: a server that has a vCPU.
  ///   - priority: 0 to 6.
  /// - Returns: where it is and where the device writes next, or nil when there is none.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``, ``DeliveryError/notConnected(_:)``,
  ///   ``DeliveryError/noSuchPriority(_:)``.
  public func queueState(_ server: Server, _ priority: Priority) throws(XIVEClientError)
    -> QueueState?
  {
    let queue = try queue(server, priority)
    guard queue.qshift > 0 else { return nil }
    return QueueState(
      address: queue.qaddr, byteCount: 1 << queue.qshift,
      position: QueuePosition(generation: queue.qtoggle != 0, index: Int(queue.qindex)))
  }

  func queue(_ server: Server, _ priority: Priority) throws(XIVEClientError) -> xive_eq {
    let attribute = try queueID(server, priority)
    return try device.get(UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG), attribute) { error in
      error == .noSuchFileOrDirectory ? .delivery(.notConnected(server)) : nil
    }
  }

  private func queueID(_ server: Server, _ priority: Priority) throws(XIVEClientError) -> UInt64 {
    try requireServer(server)
    guard priority.rawValue < 7 else { throw .delivery(.noSuchPriority(priority)) }
    return xive_eq_id(server.rawValue, UInt32(priority.rawValue))
  }

  // MARK: - Routes

  /// Routes a source's events to a server's queue.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - server: a server that has a vCPU. Where it has no queue for the priority, the device
  ///     takes another one that has, as the kernel does.
  ///   - priority: 0 to 6.
  ///   - eisn: what the entries of the queue will say.
  ///   - isMasked: whether events are dropped instead.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)``, ``XIVEClientError/notCreated(_:)``,
  ///   ``DeliveryError/noSuchServer(_:count:)``, ``DeliveryError/noSuchPriority(_:)``,
  ///   ``DeliveryError/cannotRoute(_:_:)``, ``DeliveryError/noQueue(_:)``.
  public func configureSource(
    _ lisn: LISN, to server: Server, _ priority: Priority, eisn: EISN, isMasked: Bool = false
  ) throws(XIVEClientError) {
    guard priority.rawValue < 7 else { throw .delivery(.noSuchPriority(priority)) }
    try requireSource(lisn)
    try requireServer(server)
    let value = xive_source_config(
      server.rawValue, UInt32(priority.rawValue), eisn.rawValue, isMasked ? 1 : 0)
    let group = UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG)
    try device.set(group, UInt64(lisn.rawValue), value) { error in
      switch error {
      case .noSuchFileOrDirectory: .notCreated(lisn)
      case .invalidArgument: .delivery(.cannotRoute(lisn, server))
      case .resourceBusy: .delivery(.noQueue(priority))
      default: nil
      }
    }
  }

  /// Waits until the events of a source have reached their queue.
  /// - Parameter lisn: the source.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)``, ``XIVEClientError/notCreated(_:)``.
  public func syncSource(_ lisn: LISN) throws(XIVEClientError) {
    try requireSource(lisn)
    try device.set(UInt32(KVM_DEV_XIVE_GRP_SOURCE_SYNC), UInt64(lisn.rawValue), UInt64(0)) {
      [.noSuchFileOrDirectory, .invalidArgument].contains($0) ? .notCreated(lisn) : nil
    }
  }

  // MARK: - The whole device

  /// Waits until all events have reached their queues.
  /// - Throws: ``XIVEClientError``.
  public func syncQueues() throws(XIVEClientError) { try control(KVM_DEV_XIVE_EQ_SYNC, UInt64(0)) }

  /// Masks all sources and disables all queues; sources and mappings stay. While no vCPU is connected the machine
  /// starts over: memory, addresses, limits, routes of messages and the states of vCPUs are forgotten as well.
  /// - Throws: ``XIVEClientError``.
  public func reset() throws(XIVEClientError) { try control(KVM_DEV_XIVE_RESET, UInt64(0)) }

  /// Limits server numbers, once, before the first vCPU connects.
  /// - Parameter count: server numbers are below it.
  /// - Throws: ``DeliveryError/serverCount(_:_:)``.
  public func setServerCount(_ count: UInt32) throws(XIVEClientError) {
    try control(KVM_DEV_XIVE_NR_SERVERS, count) { error in
      guard [.invalidArgument, .resourceBusy].contains(error) else { return nil }
      return .delivery(.serverCount(count, error))
    }
  }

  private func control(
    _ attribute: Int32, _ value: some BitwiseCopyable,
    _ words: (Errno) -> XIVEClientError? = { _ in nil }
  ) throws(XIVEClientError) {
    try device.set(UInt32(KVM_DEV_XIVE_GRP_CTRL), UInt64(attribute), value, words)
  }
}
