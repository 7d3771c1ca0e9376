internal import XIVEClient
internal import XIVEModel

/// A controller in this process: sources, router and vCPUs, of which some have queues.
@safe
final class DeliveryRig: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; used through the cells only.
  private let cells: UnsafeMutableRawBufferPointer
  private let queues: GuestMemory
  private let mistakes = Mistakes()
  let engine: SourceEngine
  let router: Router

  /// Every priority of a driven vCPU has a queue, and a source of its own that is routed there.
  static let priorities = Priority.allCases

  /// Connects vCPUs.
  /// - Parameters:
  ///   - serverCount: how many.
  ///   - drivenCount: how many of them have queues, from the first on.
  /// - Throws: the error of the queues' memory.
  init(serverCount: Int, drivenCount: Int = 1) throws(XIVEClientError) {
    let sourceCount = drivenCount * Self.priorities.count
    unsafe cells = .allocate(byteCount: SourceCells.byteCount(for: sourceCount), alignment: 64)
    queues = try GuestMemory(byteCount: sourceCount * EventQueue.byteCount)
    router = Router(sourceCount: sourceCount, serverCount: serverCount, observer: mistakes)
    engine = SourceEngine(
      cells: unsafe SourceCells(unsafeMemory: cells, count: sourceCount),
      supportsStoreEOI: false, router: router)
    for number in 0..<UInt32(serverCount) { router.presenter.connect(Server(rawValue: number)) }
    for number in 0..<UInt32(drivenCount) {
      for priority in Self.priorities { route(Server(rawValue: number), priority) }
    }
  }

  deinit { unsafe cells.deallocate() }

  /// The source of a vCPU's priority; its events say their own number.
  static func source(_ server: Server, _ priority: Priority) -> LISN {
    LISN(rawValue: server.rawValue * UInt32(priorities.count) + UInt32(priority.rawValue))
  }

  private func route(_ server: Server, _ priority: Priority) {
    let lisn = Self.source(server, priority)
    engine.perform(.create(isLSI: false, isAsserted: false), on: lisn)
    engine.perform(.set(.reset), on: lisn)
    let index = ENDIndex(server, priority)
    router.setEAS(of: lisn, to: EAS(to: index, eisn: EISN(lisn)))
    let offset = Int(lisn.rawValue) * EventQueue.byteCount
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      start: queues.address + offset, count: EventQueue.byteCount)
    router.setEND(
      at: index, to: END(notifying: server, priority, queueAddress: UInt64(offset)),
      queue: unsafe EventQueueMemory(unsafeMemory: bytes, owner: queues))
  }

  /// The guest's end of a queue; it goes on where the router does.
  func queue(_ server: Server, _ priority: Priority) throws(XIVEClientError) -> EventQueue {
    let end = router.end(at: ENDIndex(server, priority))
    return try EventQueue(
      queues, at: Int(Self.source(server, priority).rawValue) * EventQueue.byteCount,
      from: QueuePosition(generation: end.generation == 1, index: Int(end.queueIndex)))
  }

  /// What a guest has done wrong so far: a benchmark that does is none.
  var mistakeCount: UInt64 { mistakes.counter.value }

  // MARK: - What a guest does

  /// A device's trigger.
  func trigger(_ lisn: LISN) { engine.perform(.trigger, on: lisn) }

  /// The OS view's load of two bytes at 810.
  func acknowledge(_ server: Server) -> UInt64? {
    TIMAOperation.load(at: 0x810, byteCount: 2, view: .os)
      .map { router.presenter.load($0, of: server) }
  }

  /// The end of a message's interrupt: SET_PQ_00, and a trigger when an event came meanwhile.
  func endOfInterrupt(_ lisn: LISN) {
    if engine.perform(.set(.reset), on: lisn) & 1 != 0 { trigger(lisn) }
  }

  /// The OS view's store of a byte at 11.
  func setCPPR(_ value: UInt64, of server: Server) {
    guard let operation = TIMAOperation.store(at: 0x11, byteCount: 1, view: .os) else { return }
    router.presenter.store(value, operation, of: server)
  }
}

/// Counts guest errors; nobody looks at pages, or waits.
private final class Mistakes: DeliveryObserver {
  let counter = StripedCounter()

  func osRingChanged(_ server: Server, _ ring: UInt64) {}
  func lineRaised(_ server: Server) {}
  func endChanged(_ end: ENDIndex, _ states: ENDStates?) {}
  func guestErred(_ error: GuestError) { counter.add(1, stripe: 0) }
}
