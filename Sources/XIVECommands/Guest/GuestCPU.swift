internal import Synchronization
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// A vCPU of the guest: what Linux does when an interrupt comes.
///
/// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_get_irq`, `xive_scan_interrupts`, `xive_irq_eoi`.
final class GuestCPU: Sendable {
  static let ipiPriority = Priority.allCases[5]
  static let devicePriority = Priority.allCases[6]
  /// Where the guest's memory is.
  static let memoryAddress: UInt64 = 0x2000_0000

  /// The vCPU's own; whoever has the lock runs it, or keeps it from running.
  private struct Queues: ~Copyable {
    var ipis: EventQueue
    var devices: EventQueue

    mutating func next(_ priority: Priority) -> EISN? {
      priority == GuestCPU.ipiPriority ? ipis.next() : devices.next()
    }
  }

  let number: Int
  private let vcpu: VCPU
  private let queues: Mutex<Queues>

  /// Connects the vCPU, gives it its queues, and lets everything through.
  init(_ number: Int, _ path: String, _ memory: GuestMemory) throws(XIVEClientError) {
    self.number = number
    vcpu = try VCPU(path, server: Server(rawValue: UInt32(number)))
    let offset = number * 2 * EventQueue.byteCount
    let devices = offset + EventQueue.byteCount
    queues = Mutex(
      Queues(
        ipis: try EventQueue(memory, at: offset), devices: try EventQueue(memory, at: devices)))
    let address = Self.memoryAddress
    try vcpu.device.configureQueue(vcpu.server, Self.ipiPriority, at: address + UInt64(offset))
    try vcpu.device.configureQueue(vcpu.server, Self.devicePriority, at: address + UInt64(devices))
    try vcpu.setCPPR(0xff)
  }

  /// Handles interrupts until a run is over.
  func work(_ run: GuestRun) throws(XIVEClientError) {
    try sendIPIs(run)
    while run.waits(for: vcpu.rawValue) {
      try queues.withLock { queues throws(XIVEClientError) in try takeInterrupt(&queues, run) }
    }
  }

  private func takeInterrupt(_ queues: inout Queues, _ run: GuestRun) throws(XIVEClientError) {
    // None: the scheduler was faster.
    guard let priority = try vcpu.acknowledge().priority else { return }
    var count = 0
    while let eisn = queues.next(priority) {
      try handle(eisn, run)
      count += 1
    }
    // It was read together with the one before.
    if count == 0 { run.tally.spurious.add() }
    try vcpu.setCPPR(0xff)
    try sendIPIs(run)
  }

  private func handle(_ eisn: EISN, _ run: GuestRun) throws(XIVEClientError) {
    guard let source = run.source(eisn), source.target == number else {
      let number = hexadecimal(UInt64(eisn.rawValue))
      return run.fail("vCPU \(self.number) got \(number), which is not its own")
    }
    source.begin()
    defer { source.end() }
    if case .line(let phb, let irq) = source.origin {
      try vcpu.device.perform(.deassert, phb: phb, irq: irq)
    }
    guard source.take() else {
      return run.fail("LISN \(source.lisn): more events came than were sent")
    }
    // A slow handler: its device fires once more, or goes, before the end of the interrupt.
    if source.isMessage, source.takenCount % 4 == 0 { MonotonicClock.sleep(nanoseconds: 20_000) }
    if try endOfInterrupt(source) { run.tally.retriggered.add() }
    run.tally.add(source.origin)
  }

  private func endOfInterrupt(_ source: GuestSource) throws(XIVEClientError) -> Bool {
    if case .line = source.origin { return try vcpu.endOfLevelInterrupt(source.lisn) }
    return try vcpu.endOfInterrupt(source.lisn)
  }

  /// Sends to each of the others what may be sent.
  private func sendIPIs(_ run: GuestRun) throws(XIVEClientError) {
    for source in run.sources where source.origin == .vcpu(number) && run.claim(source) {
      try vcpu.device.trigger(source.lisn)
    }
  }

  // MARK: - Scheduling

  /// Keeps the vCPU from running for a while: its context is pulled, and events wait in its NVT.
  func preempt(nanoseconds: UInt64, by device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    try queues.withLock { _ throws(XIVEClientError) in
      try device.pullContext(of: vcpu.server)
      MonotonicClock.sleep(nanoseconds: nanoseconds)
      try device.pushContext(of: vcpu.server)
    }
  }

  /// Takes what is still pending once nobody sends any more: an interrupt whose entry was read with the one before.
  /// - Returns: false when there was an entry after all.
  func settle() throws(XIVEClientError) -> Bool {
    try queues.withLock { queues throws(XIVEClientError) in
      while let priority = try vcpu.acknowledge().priority {
        guard queues.next(priority) == nil else { return false }
        try vcpu.setCPPR(0xff)
      }
      return true
    }
  }

  /// Whether nothing is pending, and all queues have been read to their end.
  func isIdle(by device: borrowing XIVEDescriptor) throws(XIVEClientError) -> Bool {
    guard let context = try device.context(of: vcpu.server), context.isPushed,
      !context.ring.hasInterrupt, context.ring.ipb == 0, context.ring.cppr == 0xff
    else { return false }
    return try queues.withLock { queues throws(XIVEClientError) in
      let places = [
        (Self.ipiPriority, queues.ipis.position), (Self.devicePriority, queues.devices.position),
      ]
      for (priority, position) in places
      where try device.queueState(vcpu.server, priority)?.position != position { return false }
      return true
    }
  }
}
