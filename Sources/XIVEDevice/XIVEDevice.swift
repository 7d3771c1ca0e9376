public import PagedDevice
internal import Synchronization
public import XIVEModel

/// The memory side of an XIVE interrupt controller, as a paged device.
///
/// Resolves offsets, builds images, performs accesses and attributes, and names the bytes of mapped pages
/// that have changed. Knows neither files nor processes. Safe from any thread.
public final class XIVEDevice: PagedDevice {
  /// What was chosen at the start.
  public let configuration: Configuration
  /// The layout of the file.
  public let map: DeviceMap

  let engine: SourceEngine
  let sources: SourceTable
  let watched: WatchTable
  let changed: ChangeSet
  let phbs = PHBTable()
  /// The PHBs in which an interrupt's own page needs new bytes.
  let changedPHBs = ChangeSet(count: PHBIndex.maximumCount)
  /// What is looked up of sources and PHBs is acted on inside; drained when their backing changes.
  let gate = AccessGate()
  /// Adding, removing, mapping and unmapping, one at a time; how often each PHB has been added.
  let hotplug = OrderedMutex<[PHBIndex: UInt32]>(.hotplug, [:])
  /// The changes whose old pages have not been dropped yet. Locked for a look; taken inside ``hotplug``'s lock and
  /// inside the gate.
  let transitions = OrderedMutex<[Transition]>(.transitions, [])
  let images = ImageBodies.shared
  let ledger = WriteBackLedger()
  let counters = Counters()
  /// Counts what leaves the sources.
  let events: CountingRouter
  /// Keeps events while the machine is stopped.
  let holding: HoldingRouter
  /// Takes events to vCPUs.
  let router: Router
  /// What follows from that outside the controller.
  let watch: DeliveryWatch
  /// Where events go and who takes them.
  let delivery: OrderedMutex<DeliveryConfiguration>
  /// Which descriptor is whose, for accesses.
  let connections: ConnectionTable
  /// How often each server has been given a vCPU.
  let connectCounts: AtomicTable<UInt32>
  let link: HostLink
  /// Makes records of what happens, while somebody wants them.
  let trace: DeviceTracer
  /// Where events come from that no page takes: eventfds, lines, messages.
  let injection = OrderedMutex(.injection, Injection())
  /// Sources are below this: what the device was started with, or less.
  private let sourceCount: Atomic<UInt32>
  /// Told once no lock is held, for a log may block.
  private let refusals = Mutex<[Refusal]>([])
  private let refuse: (@Sendable (Refusal) -> Void)?

  /// Creates a device without sources.
  /// - Parameters:
  ///   - configuration: its sizes and shapes.
  ///   - tell: hears of what guests do wrong, on whatever thread they do it; must not wait.
  ///   - refuse: hears why a request was refused whose error number does not say it, on the thread that handles it.
  public convenience init(
    _ configuration: Configuration, onGuestError tell: (@Sendable (GuestError) -> Void)? = nil,
    onRefusal refuse: (@Sendable (Refusal) -> Void)? = nil
  ) {
    self.init(configuration, passingEventsTo: nil, onGuestError: tell, onRefusal: refuse)
  }

  /// Creates a device whose events somebody watches.
  init(
    _ configuration: Configuration, passingEventsTo watcher: (any EventRouter)?,
    onGuestError tell: (@Sendable (GuestError) -> Void)? = nil,
    onRefusal refuse: (@Sendable (Refusal) -> Void)? = nil
  ) {
    let count = Int(configuration.sourceCount)
    let serverCount = Int(configuration.serverCount)
    self.configuration = configuration
    map = configuration.map
    let link = HostLink()
    self.link = link
    let trace = DeviceTracer(configuration, link)
    self.trace = trace
    watch = DeliveryWatch(serverCount: serverCount, link, trace, onGuestError: tell)
    let router = Router(sourceCount: count, serverCount: serverCount, observer: watch)
    self.router = router
    sources = SourceTable(count: count)
    let holding = HoldingRouter(sources.cells, passingTo: router, trace)
    self.holding = holding
    self.refuse = refuse
    sourceCount = Atomic(configuration.sourceCount)
    events = CountingRouter(passingTo: watcher.map { BothRouters($0, holding) } ?? holding)
    delivery = OrderedMutex(
      .configuration, DeliveryConfiguration(serverLimit: configuration.serverCount))
    connections = ConnectionTable(serverCount: serverCount)
    connectCounts = AtomicTable(count: serverCount, repeating: 0)
    engine = SourceEngine(
      cells: sources.cells, supportsStoreEOI: configuration.supportsStoreEOI, router: events)
    watched = WatchTable(count: count)
    changed = ChangeSet(count: count)
  }

  /// Who makes the records of its requests.
  public var tracer: (any RequestTracer)? { trace }

  /// The device page's size in bytes: 4,096 or 65,536.
  public var pageByteCount: Int { Int(map.pageByteCount) }

  /// Remembers whom to wake when mapped pages change.
  /// - Parameter host: whoever serves the device.
  public func attach(to host: any DeviceHost) { link.attach(to: host) }

  /// Creates a source, or creates it again: PQ 01 and masked, keeping what earlier calls set.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - isLSI: whether it is level-sensitive.
  ///   - isAsserted: whether its line is held from the start; for an LSI only.
  /// - Throws: ``/PagedDevice/DeviceError/outOfRange`` beyond the table.
  public func createSource(_ lisn: LISN, isLSI: Bool = false, isAsserted: Bool = false)
    throws(DeviceError)
  {
    try delivery.withLock { state throws(DeviceError) in
      // Inside: nobody lowers the limit between the look and the source.
      guard lisn.rawValue < sourceLimit else { throw .outOfRange }
      sources.createBlock(of: lisn)
      assign(.masked, to: lisn, &state)
      perform(.create(isLSI: isLSI, isAsserted: isAsserted), on: lisn)
      sources.backings.publishIPI(lisn)
    }
  }

  /// What serves a source's pages now, and how often that has changed.
  /// - Parameter lisn: the source.
  /// - Returns: the word that the fault path reads, or nil for a source that was never created.
  public func backingWord(of lisn: LISN) -> BackingWord? {
    let word = sources.backings[lisn]
    return word.backing == nil ? nil : word
  }

  /// Sources are below this.
  var sourceLimit: UInt32 {
    get { sourceCount.load(ordering: .relaxed) }
    set { sourceCount.store(newValue, ordering: .relaxed) }
  }

  /// The source of a number that an attribute or a request names; nil beyond the limit.
  func source(_ number: UInt64) -> LISN? {
    number < UInt64(sourceLimit) ? LISN(rawValue: UInt32(number)) : nil
  }

  /// Notes why a request is refused; whoever handles it calls ``tellRefusals()`` in the end.
  func note(_ refusal: Refusal) {
    if refuse != nil { refusals.withLock { $0.append(refusal) } }
  }

  /// Tells what was noted. Without any lock.
  func tellRefusals() {
    guard let refuse else { return }
    let noted = refusals.withLock { noted in
      defer { noted = [] }
      return noted
    }
    noted.forEach(refuse)
  }

  /// Performs one event on a source, forwards what follows, and refreshes its mapped pages.
  /// - Returns: the value that a load gives.
  @discardableResult
  func perform(_ event: SourceEvent, on lisn: LISN) -> UInt64 {
    let value = mayEnd(event, lisn) ? end(event, lisn) : act(event, on: lisn).value
    if event != .get { refresh(lisn) }
    return value
  }

  /// Performs one event on a source's own state, and forwards what follows.
  func act(_ event: SourceEvent, on lisn: LISN) -> SourceOutcome {
    let step = engine.cells.step(event, on: lisn)
    if trace.isOn { trace.performed(event, step, on: lisn) }
    if step.outcome.forwards { events.forward(lisn) }
    return step.outcome
  }

  /// Has the mapped pages of a source given new bytes.
  func refresh(_ lisn: LISN) {
    guard watched.isWatched(Int(lisn.rawValue)), changed.insert(Int(lisn.rawValue)) else { return }
    wakeHost()
  }

  func wakeHost() { link.wake() }
}

/// Has two routers hear of each event.
private struct BothRouters: EventRouter {
  let first: any EventRouter
  let second: any EventRouter

  init(_ first: any EventRouter, _ second: any EventRouter) {
    self.first = first
    self.second = second
  }

  func forward(_ lisn: LISN) {
    first.forward(lisn)
    second.forward(lisn)
  }
}
