internal import PagedDevice
internal import Synchronization
internal import XIVEModel

/// What follows outside the controller from what it does: live pages of TIMAs and ENDs, woken pollers, counted guest
/// errors.
final class DeliveryWatch: DeliveryObserver {
  /// What each vCPU's OS ring shows; written in the order of its changes, read by fills.
  let rings: AtomicTable<UInt64>
  /// The place behind the servers': whose TIMA the page at offset 0 shows while there is no vCPU.
  let nobody: Int
  /// The TIMA pages that have been filled, and the vCPUs whose pages need new bytes.
  let watchedTIMAs: WatchTable
  let changedTIMAs: ChangeSet
  /// The vCPUs whose mapped pages were stored to: all of their bytes have to be put back.
  let coveredTIMAs: ChangeSet
  /// What each END's machines show; written in the order of its changes, read by fills.
  private let endStates: AtomicTable<UInt8>
  /// The END pages that have been filled, and the ENDs whose pages need new bytes.
  let watchedENDs: WatchTable
  let changedENDs: ChangeSet
  /// The ENDs whose mapped pages were stored to.
  let coveredENDs: ChangeSet
  /// Who waits in `poll` for each vCPU.
  let waiters: LockedTable<PollWaker?>
  let guestErrors = GuestErrorCounters()
  private let link: HostLink
  private let trace: DeviceTracer
  private let tell: (@Sendable (GuestError) -> Void)?

  init(
    serverCount: Int, _ link: HostLink, _ trace: DeviceTracer,
    onGuestError tell: (@Sendable (GuestError) -> Void)?
  ) {
    self.trace = trace
    rings = AtomicTable(count: serverCount, repeating: TIMA().os.osView)
    nobody = serverCount
    watchedTIMAs = WatchTable(count: serverCount + 1)
    changedTIMAs = ChangeSet(count: serverCount)
    coveredTIMAs = ChangeSet(count: serverCount + 1)
    let endCount = serverCount * Priority.allCases.count
    endStates = AtomicTable(count: endCount, repeating: Self.invalid)
    watchedENDs = WatchTable(count: endCount)
    changedENDs = ChangeSet(count: endCount)
    coveredENDs = ChangeSet(count: endCount)
    waiters = LockedTable(.waiters, count: serverCount, repeating: nil)
    self.link = link
    self.tell = tell
  }

  func osRingChanged(_ server: Server, _ ring: UInt64) {
    let index = Int(server.rawValue)
    // Sequentially consistent, as the fill's look is: a change is in the image or finds the page watched.
    rings[index].store(ring, ordering: .sequentiallyConsistent)
    if watchedTIMAs.isWatched(index), changedTIMAs.insert(index) { link.wake() }
  }

  func lineRaised(_ server: Server) {
    if trace.isOn {
      trace.notified(server, rings[Int(server.rawValue)].load(ordering: .sequentiallyConsistent))
    }
    let waker = waiters.withLock(Int(server.rawValue)) { waker in
      defer { waker = nil }
      return waker
    }
    waker?.wake()
  }

  func endChanged(_ end: ENDIndex, _ states: ENDStates?) {
    let index = Int(end.rawValue)
    let bits = states.map { $0.notification.rawValue << 2 | $0.escalation.rawValue }
    endStates[index].store(bits ?? Self.invalid, ordering: .sequentiallyConsistent)
    if watchedENDs.isWatched(index), changedENDs.insert(index) { link.wake() }
  }

  /// What a page of an END shows; nil while the END is not valid.
  func pq(of end: ENDIndex, _ half: ENDHalf) -> PQ? {
    let bits = endStates[Int(end.rawValue)].load(ordering: .sequentiallyConsistent)
    guard bits != Self.invalid else { return nil }
    return PQ(rawValue: half == .notification ? bits >> 2 : bits)
  }

  func guestErred(_ error: GuestError) {
    guestErrors.add(error)
    if trace.isOn { trace.guestErred(error) }
    tell?(error)
  }

  /// Has all bytes of a vCPU's, or of nobody's, mapped pages put back.
  func timaCovered(_ server: Server?) {
    if coveredTIMAs.insert(place(of: server)) { link.wake() }
  }

  /// The place of a vCPU, or of nobody, in the tables of TIMA pages.
  func place(of server: Server?) -> Int { server.map { Int($0.rawValue) } ?? nobody }

  /// Has all bytes of an END's mapped pages put back.
  func endCovered(_ end: ENDIndex) {
    if coveredENDs.insert(Int(end.rawValue)) { link.wake() }
  }

  private static let invalid = UInt8.max
}
