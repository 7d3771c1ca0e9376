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
  let hotplug = Mutex<[PHBIndex: UInt32]>([:])
  /// The changes whose old pages have not been dropped yet. Locked for a look; taken inside ``hotplug``'s lock and
  /// inside the gate.
  let transitions = Mutex<[Transition]>([])
  let images = ImageBodies.shared
  let ledger = WriteBackLedger()
  let counters = Counters()
  let router: CountingRouter
  // nonisolated(unsafe): written by `attach` alone, before the device is served.
  private nonisolated(unsafe) var host: (any DeviceHost)?

  /// Creates a device without sources.
  /// - Parameter configuration: its sizes and shapes.
  public convenience init(_ configuration: Configuration) {
    self.init(configuration, passingEventsTo: nil)
  }

  /// Creates a device whose events somebody watches.
  init(_ configuration: Configuration, passingEventsTo watcher: (any EventRouter)?) {
    let count = Int(configuration.sourceCount)
    self.configuration = configuration
    map = configuration.map
    router = CountingRouter(passingTo: watcher)
    sources = SourceTable(count: count)
    engine = SourceEngine(
      cells: sources.cells, supportsStoreEOI: configuration.supportsStoreEOI, router: router)
    watched = WatchTable(count: count)
    changed = ChangeSet(count: count)
  }

  /// The device page's size in bytes: 4,096 or 65,536.
  public var pageByteCount: Int { Int(map.pageByteCount) }

  /// Remembers whom to wake when mapped pages change.
  /// - Parameter host: whoever serves the device.
  public func attach(to host: any DeviceHost) { unsafe self.host = host }

  /// Does nothing: no state hangs on a descriptor yet.
  /// - Parameter opener: the descriptor that has gone.
  /// - Returns: nil.
  public func closed(_ opener: Opener) -> Invalidation? { nil }

  /// Creates a source, or creates it again: PQ 01, keeping what earlier calls set.
  /// - Parameters:
  ///   - lisn: the source.
  ///   - isLSI: whether it is level-sensitive.
  ///   - isAsserted: whether its line is held from the start; for an LSI only.
  /// - Throws: ``/PagedDevice/DeviceError/outOfRange`` beyond the table.
  public func createSource(_ lisn: LISN, isLSI: Bool = false, isAsserted: Bool = false)
    throws(DeviceError)
  {
    guard engine.cells.contains(lisn) else { throw .outOfRange }
    sources.createBlock(of: lisn)
    perform(.create(isLSI: isLSI, isAsserted: isAsserted), on: lisn)
    sources.backings.publishIPI(lisn)
  }

  /// What serves a source's pages now, and how often that has changed.
  /// - Parameter lisn: the source.
  /// - Returns: the word that the fault path reads, or nil for a source that was never created.
  public func backingWord(of lisn: LISN) -> BackingWord? {
    let word = sources.backings[lisn]
    return word.backing == nil ? nil : word
  }

  /// Performs one event on a source, forwards what follows, and refreshes its mapped pages.
  /// - Returns: the value that a load gives.
  @discardableResult
  func perform(_ event: SourceEvent, on lisn: LISN) -> UInt64 {
    let value = engine.perform(event, on: lisn)
    if event != .get { refresh(lisn) }
    return value
  }

  /// Has the mapped pages of a source given new bytes.
  func refresh(_ lisn: LISN) {
    guard watched.isWatched(Int(lisn.rawValue)), changed.insert(Int(lisn.rawValue)) else { return }
    wakeHost()
  }

  func wakeHost() { unsafe host?.updatesAreReady() }
}
