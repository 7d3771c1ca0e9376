internal import Synchronization
internal import XIVEModel

/// Hears which vCPU has an interrupt to take. A VMM kicks the vCPU's thread; this one makes a list.
final class Lines: DeliveryObserver {
  private let raised = Mutex<[Server]>([])

  func next() -> Server? { raised.withLock { $0.isEmpty ? nil : $0.removeFirst() } }

  // On the thread that performed the access: must not wait, and must not call the controller.
  func lineRaised(_ server: Server) { raised.withLock { $0.append(server) } }
  func guestErred(_ error: GuestError) { print("a mistake of the guest: \(error)") }
  // For those who show live pages.
  func osRingChanged(_ server: Server, _ ring: UInt64) {}
  func endChanged(_ end: ENDIndex, _ states: ENDStates?) {}
}

/// What a VMM has: the guest's memory, the controller, and what the guest's accesses come to when they trap.
@safe
final class Machine {
  // SAFETY: allocated in `init`, freed in `deinit`, after the router; used atomically only.
  private let cells: UnsafeMutableRawBufferPointer
  private let ram: UnsafeMutableRawBufferPointer
  private let sources: SourceEngine
  let router: Router
  let lines = Lines()

  init(sourceCount: Int, vcpuCount: Int, ramByteCount: Int) {
    // One byte a source. It may be memory that others share, or that outlives the VMM.
    unsafe cells = .allocate(byteCount: SourceCells.byteCount(for: sourceCount), alignment: 64)
    unsafe ram = .allocate(byteCount: ramByteCount, alignment: 1 << 16)
    unsafe ram.initializeMemory(as: UInt8.self, repeating: 0)
    router = Router(sourceCount: sourceCount, serverCount: vcpuCount, observer: lines)
    sources = SourceEngine(
      cells: unsafe SourceCells(unsafeMemory: cells, count: sourceCount),
      supportsStoreEOI: false, router: router)
    for number in 0..<vcpuCount { router.presenter.connect(Server(rawValue: UInt32(number))) }
  }

  deinit {
    unsafe cells.deallocate()
    unsafe ram.deallocate()
  }

  /// What H_INT_SET_SOURCE_CONFIG does: a source that is ready, and where its events go.
  func route(_ lisn: LISN, to server: Server, _ priority: Priority) {
    sources.perform(.create(isLSI: false, isAsserted: false), on: lisn)
    sources.perform(.set(.reset), on: lisn)
    let eisn = EISN(rawValue: lisn.rawValue)
    router.setEAS(of: lisn, to: EAS(to: ENDIndex(server, priority), eisn: eisn))
  }

  /// What H_INT_SET_QUEUE_CONFIG does. Memory that may go earlier than the router names its owner here.
  func setQueue(of server: Server, _ priority: Priority, at address: Int, byteCount: Int) {
    let part = unsafe UnsafeMutableRawBufferPointer(rebasing: ram[address..<address + byteCount])
    router.setEND(
      at: ENDIndex(server, priority),
      to: END(notifying: server, priority, queueAddress: UInt64(address)),
      queue: unsafe EventQueueMemory(unsafeMemory: part, owner: nil))
  }

  /// The guest's load of a big-endian word: what came before it was stored is seen with it.
  func word(at address: Int) -> UInt32 {
    let words = unsafe UnsafeMutableRawBufferPointer(rebasing: ram[address..<address + 4])
      .assumingMemoryBound(to: Atomic<UInt32>.self)
    return unsafe UInt32(bigEndian: words[0].load(ordering: .acquiring))
  }

  // The trap handlers; any vCPU's thread may call them at any time. What a page does not have loads all ones.

  func load(_ lisn: LISN, _ half: ESBHalf, at offset: UInt64) -> UInt64 {
    guard let event = sources.event(for: .load(at: offset, of: half)) else { return .max }
    return sources.perform(event, on: lisn)
  }

  func store(_ lisn: LISN, _ half: ESBHalf, at offset: UInt64) {
    guard let event = sources.event(for: .store(at: offset, of: half)) else { return }
    sources.perform(event, on: lisn)
  }

  func load(_ vcpu: Server, at offset: UInt64, _ byteCount: Int) -> UInt64 {
    TIMAOperation.load(at: offset, byteCount: byteCount, view: .os)
      .map { router.presenter.load($0, of: vcpu) } ?? .max
  }

  func store(_ value: UInt64, _ vcpu: Server, at offset: UInt64, _ byteCount: Int) {
    TIMAOperation.store(at: offset, byteCount: byteCount, view: .os)
      .map { router.presenter.store(value, $0, of: vcpu) }
  }
}
