import XIVEModel
import XIVETestSupport

/// The real sources, router and presenter, with guest memory from address 0, accessed as a consumer would.
struct RoutedController {
  let router: Router
  let observer = RecordingObserver()
  let memory: AlignedMemory
  private let controller: Controller<Router>

  init(sources: Int, servers: Int, memorySize: Int) {
    memory = AlignedMemory(byteCount: memorySize)
    unsafe memory.unsafeBuffer.initializeMemory(as: UInt8.self, repeating: 0)
    router = Router(sourceCount: sources, serverCount: servers, observer: observer)
    controller = Controller(count: sources, router: router)
  }

  // MARK: - Tables

  func setEAS(_ source: Int, _ words: [UInt32]) {
    let register = UInt64(words[0]) << 32 | UInt64(words[1])
    router.setEAS(of: LISN(rawValue: UInt32(source)), to: EAS(rawValue: register))
  }

  func setEND(_ index: Int, _ words: [UInt32]) {
    var end = END()
    (end.w0, end.w1, end.w2, end.w3) = (words[0], words[1], words[2], words[3])
    (end.w4, end.w5, end.w6, end.w7) = (words[4], words[5], words[6], words[7])
    let memory =
      end.isEnqueued ? queue(at: Int(end.queueAddress), byteCount: 1 << Int(end.queueShift)) : nil
    router.setEND(at: ENDIndex(rawValue: UInt32(index)), to: end, queue: memory)
  }

  private func queue(at address: Int, byteCount: Int) -> EventQueueMemory {
    let part = unsafe memory.unsafeBuffer[address..<address + byteCount]
    return unsafe EventQueueMemory(
      unsafeMemory: UnsafeMutableRawBufferPointer(rebasing: part), owner: memory)
  }

  func end(_ index: Int) -> [UInt32] {
    let end = router.end(at: ENDIndex(rawValue: UInt32(index)))
    return [end.w0, end.w1, end.w2, end.w3, end.w4, end.w5, end.w6, end.w7]
  }

  func backlog(_ target: Int) -> UInt8 {
    router.presenter.backlog(of: NVTIndex(rawValue: UInt32(target)))
  }

  /// A big-endian word of guest memory.
  func word(at position: Int) -> UInt32 {
    unsafe memory.unsafeBuffer.load(fromByteOffset: position, as: UInt32.self).bigEndian
  }

  // MARK: - vCPUs

  func connect(_ server: Int) { router.presenter.connect(Server(server)) }

  func disconnect(_ server: Int) { router.presenter.disconnect(Server(server)) }

  func tima(_ server: Int) -> TIMA { router.presenter.tima(of: Server(server)) }

  // MARK: - Accesses

  func pq(of source: Int) -> UInt8 { controller.pq(of: UInt32(source)) }

  @discardableResult
  func perform(
    _ access: VectorAccess, source: Int, _ page: VectorPage, at offset: UInt64
  ) -> UInt64? {
    controller.access(access, UInt32(source), page, at: offset)
  }

  /// A page that has no valid END is the device's business: all ones, and a count.
  func perform(
    _ access: VectorAccess, end: Int, isEscalation: Bool, at offset: UInt64
  ) -> UInt64? {
    let index = ENDIndex(rawValue: UInt32(end))
    if access == .store {
      observer.guestErred(.endStore(index))
      return nil
    }
    let operation = ESBOperation(.load, .management, at: offset)
    let half: ENDHalf = isEscalation ? .escalation : .notification
    if let value = router.load(operation, on: index, half) { return value }
    observer.guestErred(.absentPage(UInt64(offset)))
    return .max
  }

  /// What the view does not have is the device's business: all ones, and a count.
  func load(_ server: Int, view: Int, at offset: Int, size: Int) -> UInt64 {
    let operation = TIMAOperation.load(
      at: UInt64(offset), byteCount: size, view: TIMAView.allCases[view])
    if let operation { return router.presenter.load(operation, of: Server(server)) }
    observer.guestErred(.timaAccess(Server(server)))
    return .max >> UInt64(64 - 8 * size)
  }

  func store(_ value: UInt64, _ server: Int, view: Int, at offset: Int, size: Int) {
    let operation = TIMAOperation.store(
      at: UInt64(offset), byteCount: size, view: TIMAView.allCases[view])
    if let operation { return router.presenter.store(value, operation, of: Server(server)) }
    observer.guestErred(.timaAccess(Server(server)))
  }
}

extension Server {
  init(_ number: Int) { self.init(rawValue: UInt32(number)) }
}

extension TIMA {
  /// The registers as bytes, in the order of their offsets.
  var bytes: [UInt8] {
    TIMARing.allCases.flatMap { ring in
      [self[ring].w01, self[ring].w23].flatMap { register in
        (0..<8).map { UInt8(truncatingIfNeeded: register >> UInt64(56 - 8 * $0)) }
      }
    }
  }
}

extension ReferenceOutcome {
  /// All counts that are not zero.
  static func all(of counts: DeliveryCounts) -> [ReferenceOutcome: UInt64] {
    let all: [ReferenceOutcome: UInt64] = [
      .entries: counts.entries, .notified: counts.notified, .backlogged: counts.backlogged,
      .coalesced: counts.coalesced, .escalated: counts.escalated, .masked: counts.masked,
      .undelivered: counts.undelivered,
    ]
    return all.filter { $0.value != 0 }
  }
}
