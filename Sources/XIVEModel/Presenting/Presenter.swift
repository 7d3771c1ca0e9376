/// The vCPUs' side of the controller: a TIMA for each thread, and the NVTs that say which of them runs whom.
///
/// Safe from any thread. A vCPU's accesses hold the lock of its own TIMA alone; giving a thread a context or taking it
/// away holds that thread's context lock, then the lock of the NVT, then that of the TIMA.
/// A value that its router holds, and no object: accesses would count references to that, on a line that all threads
/// write.
/// Source: QEMU `hw/intc/xive.c`, `xive_tctx_tm_read`, `xive_tctx_tm_write`, `xive_presenter_tctx_match`.
public struct Presenter: ~Copyable, Sendable {
  private let threads: LockedTable<TIMA>
  private let contexts: LockedTable<Void>
  let targets: LockedTable<NVT>
  private let observer: any DeliveryObserver

  /// Creates threads as reset leaves them, without contexts, and NVTs that are not valid.
  init(serverCount: Int, observer: any DeliveryObserver) {
    threads = LockedTable(.thread, count: serverCount, repeating: TIMA())
    contexts = LockedTable(.context, count: serverCount, repeating: ())
    targets = LockedTable(
      .target, count: Int(NVTIndex.base) + serverCount, repeating: NVT())
    self.observer = observer
  }

  /// The number of threads.
  public var serverCount: Int { threads.count }

  // MARK: - vCPUs

  /// Lets a vCPU take part: its registers are as after reset, its NVT is valid, and its OS context is pushed.
  /// - Parameters:
  ///   - server: a thread of the table; nobody else may connect or disconnect it meanwhile.
  ///   - state: what its OS ring begins with, as ``savedState(of:)`` gives it; nil: as reset leaves it.
  public func connect(_ server: Server, restoring state: UInt64? = nil) {
    changeContexts(of: server) {
      for ring in TIMARing.allCases { setWord2(0, of: TIMAPlace(server: server, ring: ring)) }
      update(server) { tima in
        tima = TIMA()
        if let state { tima.os.restore(state) }
      }
      for target in [NVTIndex(server), NVTIndex(physicalThreadOf: server)] {
        if let target { accept(target) }
      }
      push(RingState.valid | NVTIndex(server).rawValue, to: TIMAPlace(server: server, ring: .os))
    }
  }

  /// Takes away all contexts of a thread; events go into the NVT's backlog from here on.
  /// - Parameter server: a thread of the table.
  public func disconnect(_ server: Server) {
    changeContexts(of: server) {
      for ring in TIMARing.allCases { setWord2(0, of: TIMAPlace(server: server, ring: ring)) }
    }
  }

  /// A thread's registers at this moment.
  /// - Parameter server: a thread of the table.
  /// - Returns: all four rings.
  public func tima(of server: Server) -> TIMA { threads.withLock(index(server)) { $0 } }

  /// What is pending for a vCPU while it does not run.
  /// - Parameter target: its NVT.
  /// - Returns: a bit for each priority; 0 beyond the table.
  public func backlog(of target: NVTIndex) -> UInt8 {
    contains(target) ? targets.withLock(Int(target.rawValue)) { $0.ipb } : 0
  }

  // MARK: - Accesses

  /// Performs one load on a thread's TIMA.
  /// - Parameters:
  ///   - operation: what ``TIMAOperation/load(at:byteCount:view:)`` has decoded.
  ///   - server: a thread of the table.
  /// - Returns: the value, in as many low bytes as were loaded.
  public func load(_ operation: TIMAOperation, of server: Server) -> UInt64 {
    switch operation {
    case .raw(let raw):
      let ring = tima(of: server)[raw.ring]
      return ((raw.isUpperHalf ? ring.w23 : ring.w01) & raw.mask) >> raw.shift
    case .cppr(let ring): return UInt64(tima(of: server)[ring].cppr)
    case .threadValid: return tima(of: server).phys.w23 >> 56
    case .acknowledgeOS: return UInt64(update(server) { $0.acknowledgeOS() })
    case .acknowledgeHypervisor: return UInt64(update(server) { $0.acknowledgeHypervisor() })
    case .acknowledgeUser: return UInt64(update(server) { $0.acknowledgeUser() })
    case .pull(let ring): return UInt64(pull(TIMAPlace(server: server, ring: ring)))
    case .setPending, .push: preconditionFailure("no load")
    }
  }

  /// Performs one store on a thread's TIMA.
  /// - Parameters:
  ///   - value: what is stored, in as many low bytes as are stored.
  ///   - operation: what ``TIMAOperation/store(at:byteCount:view:)`` has decoded.
  ///   - server: a thread of the table.
  public func store(_ value: UInt64, _ operation: TIMAOperation, of server: Server) {
    switch operation {
    case .raw(let raw): store(value << raw.shift, raw, of: server)
    case .cppr(let ring): update(server) { $0.setCPPR(UInt8(truncatingIfNeeded: value), of: ring) }
    case .setPending:
      let bit = Priority(rawValue: UInt8(truncatingIfNeeded: value))?.ipb ?? 0
      update(server) { $0.deposit(bit, in: .os) }
    case .push(let ring):
      changeContexts(of: server) {
        push(UInt32(truncatingIfNeeded: value), to: TIMAPlace(server: server, ring: ring))
      }
    case .threadValid:
      changeContexts(of: server) {
        let place = TIMAPlace(server: server, ring: .phys)
        let word = threads.withLock(index(server)) { $0.phys.word2 }
        setWord2(word & 0xff_ffff | UInt32(truncatingIfNeeded: value & 0xff) << 24, of: place)
      }
    case .acknowledgeOS, .acknowledgeHypervisor, .acknowledgeUser, .pull:
      preconditionFailure("no store")
    }
  }

  private func store(_ bits: UInt64, _ raw: TIMAOperation.RawAccess, of server: Server) {
    guard raw.isUpperHalf else {
      update(server) { tima in
        tima[raw.ring].w01 = tima[raw.ring].w01 & ~raw.mask | bits & raw.mask
      }
      return
    }
    changeContexts(of: server) {
      let old = tima(of: server)[raw.ring].w23
      let new = old & ~raw.mask | bits & raw.mask
      update(server) { $0[raw.ring].w23 = old & ~0xffff_ffff | new & 0xffff_ffff }
      setWord2(
        UInt32(truncatingIfNeeded: new >> 32), of: TIMAPlace(server: server, ring: raw.ring))
    }
  }

  // MARK: - Contexts

  /// Gives a ring a context. What the NVT has kept comes with it, and what the ring itself holds is presented again.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_tm_push_os_ctx`, `xive_tctx_need_resend`.
  func push(_ word2: UInt32, to place: TIMAPlace) {
    setWord2(word2, of: place)
    guard place.ring == .os, word2 & RingState.valid != 0 else { return }
    let backlog = number(word2, place).flatMap { takeBacklog(of: $0) }
    if backlog == nil { observer.guestErred(.nvtInvalid(NVTIndex(rawValue: word2))) }
    update(place.server) { $0.deposit(backlog ?? 0, in: .os) }
  }

  /// Takes what an NVT has kept; nil when it is not valid.
  private func takeBacklog(of target: NVTIndex) -> UInt8? {
    targets.withLock(Int(target.rawValue)) { nvt in
      guard nvt.isValid else { return nil }
      defer { nvt.ipb = 0 }
      return nvt.ipb
    }
  }

  /// Takes a ring's context away; nothing is delivered to the ring once this returns.
  /// - Returns: word 2 as it was.
  private func pull(_ place: TIMAPlace) -> UInt32 {
    let word = changeContexts(of: place.server) {
      let word = threads.withLock(index(place.server)) { $0[place.ring].word2 }
      setWord2(word & ~RingState.valid, of: place)
      return word
    }
    if word & RingState.valid == 0 { observer.guestErred(.contextInvalid(place.server)) }
    return word
  }

  /// Replaces a ring's word 2: it no longer answers to its old number, and does to the new one.
  func setWord2(_ word: UInt32, of place: TIMAPlace) {
    let old = threads.withLock(index(place.server)) { $0[place.ring].word2 }
    let before = number(old, place)
    let after = number(word, place)
    if let before, before != after {
      targets.withLock(Int(before.rawValue)) { nvt in
        nvt.remove(place)
        updateQuietly(place.server) { $0[place.ring].word2 = old & ~RingState.valid }
      }
    }
    guard let after, before != after else {
      return update(place.server) { $0[place.ring].word2 = word }
    }
    let rose = targets.withLock(Int(after.rawValue)) { nvt in
      nvt.add(place)
      return updateQuietly(place.server) { $0[place.ring].word2 = word }
    }
    if rose { observer.lineRaised(place.server) }
  }

  /// The number that a ring answers to with a word 2; nil for none, or one that no NVT has.
  private func number(_ word: UInt32, _ place: TIMAPlace) -> NVTIndex? {
    guard word & RingState.valid != 0 else { return nil }
    let target: NVTIndex? =
      switch place.ring {
      // The ring has room for one bit more than a CAM line has.
      case .os, .pool: word & 0x80_0000 == 0 ? NVTIndex(rawValue: word) : nil
      case .phys: NVTIndex(physicalThreadOf: place.server)
      case .user: nil
      }
    return target.flatMap { contains($0) ? $0 : nil }
  }

  private func contains(_ target: NVTIndex) -> Bool { Int(target.rawValue) < targets.count }

  func changeContexts<Result>(of server: Server, _ body: () -> Result) -> Result {
    contexts.withLock(index(server)) { _ in body() }
  }

  // MARK: - Delivery

  /// Where a notification went.
  enum Notification {
    /// To a ring.
    case told
    /// Into the NVT.
    case kept
    /// Nowhere: nobody runs, and nothing is kept.
    case lost
    /// Nowhere: there is no such NVT.
    case invalid
  }

  /// Makes a priority pending for a vCPU; nil is a priority that means nothing.
  func notify(_ target: NVTIndex, _ priority: Priority?, keepsBacklog: Bool) -> Notification {
    guard contains(target) else { return .invalid }
    let bit = priority?.ipb ?? 0
    var raised: Server?
    var isAmbiguous = false
    let result = targets.withLock(Int(target.rawValue)) { nvt -> Notification in
      guard nvt.isValid else { return .invalid }
      switch nvt.taker {
      case .ring(let place):
        if updateQuietly(place.server, { $0.deposit(bit, in: place.ring) }) {
          raised = place.server
        }
        return .told
      case .ambiguous: isAmbiguous = true
      case .nobody: break
      }
      guard keepsBacklog else { return .lost }
      nvt.ipb |= bit
      return .kept
    }
    if isAmbiguous { observer.guestErred(.camDuplicate(target)) }
    if let raised { observer.lineRaised(raised) }
    return result
  }

  /// Changes a thread's registers and tells of what follows.
  @discardableResult
  func update<Result>(_ server: Server, _ body: (inout TIMA) -> Result) -> Result {
    var result: Result?
    if updateQuietly(server, { result = body(&$0) }) { observer.lineRaised(server) }
    guard let result else { preconditionFailure("the body has run") }
    return result
  }

  /// Changes a thread's registers.
  /// - Returns: whether its line rose, which its observer has not been told: others' locks may be held.
  @discardableResult
  private func updateQuietly(_ server: Server, _ body: (inout TIMA) -> Void) -> Bool {
    threads.withLock(index(server)) { tima in
      let ring = tima.os.w01
      let wasUp = tima.isLineUp
      body(&tima)
      if tima.os.w01 != ring { observer.osRingChanged(server, tima.os.osView) }
      return !wasUp && tima.isLineUp
    }
  }

  private func index(_ server: Server) -> Int { Int(server.rawValue) }
}
