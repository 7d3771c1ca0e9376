import PagedDevice
import Synchronization
import Testing
import XIVEModel

@testable import XIVEDevice

/// Passthrough without a kernel: nobody has a page mapped, so that a change is complete once it is published.
extension Rig {
  static func phb(_ index: UInt16) -> PHBIndex {
    guard let phb = PHBIndex(rawValue: index) else { preconditionFailure("no PHB \(index)") }
    return phb
  }

  static func irq(_ irq: UInt16) -> HardwareIRQ { HardwareIRQ(rawValue: irq) }

  /// A rig in which PHB 0 has messages and behind them level interrupts.
  static func withPHB(
    sources: UInt32 = 8, existing: UInt32 = 4, geometry: ESBGeometry = .two4K, msis: UInt32 = 4,
    lsis: UInt32 = 2, storeEOI: Bool = false, sabotage: Configuration.Sabotage? = nil,
    watcher: (any EventRouter)? = nil
  ) throws -> Rig {
    let rig = Rig(
      sources: sources, existing: existing, geometry: geometry, sabotage: sabotage,
      watcher: watcher)
    try rig.addPHB(msis: msis, lsis: lsis, storeEOI: storeEOI)
    return rig
  }

  func addPHB(
    _ index: UInt16 = 0, msis: UInt32 = 4, lsis: UInt32 = 2, storeEOI: Bool = false
  ) throws(DeviceError) {
    try device.addPHB(
      Self.phb(index), PHBShape(msiCount: msis, lsiCount: lsis, supportsStoreEOI: storeEOI))
  }

  static func run(_ source: UInt32, _ irq: UInt16, phb: UInt16 = 0, count: UInt32 = 1)
    -> PassthroughRun
  {
    PassthroughRun(LISN(rawValue: source), to: Self.phb(phb), Self.irq(irq), count: count)
  }

  /// Maps and completes.
  @discardableResult
  func map(_ source: UInt32, to irq: UInt16, phb: UInt16 = 0, count: UInt32 = 1)
    throws(DeviceError) -> Invalidation
  {
    let invalidation = try device.map(Self.run(source, irq, phb: phb, count: count))
    invalidation.completion()
    return invalidation
  }

  /// Unmaps and completes.
  @discardableResult
  func unmap(_ source: UInt32, from irq: UInt16, phb: UInt16 = 0, count: UInt32 = 1)
    throws(DeviceError) -> Invalidation
  {
    let invalidation = try device.unmap(Self.run(source, irq, phb: phb, count: count))
    invalidation.completion()
    return invalidation
  }

  /// Removes a PHB and completes.
  @discardableResult
  func removePHB(_ index: UInt16 = 0) throws(DeviceError) -> Invalidation {
    let invalidation = try device.removePHB(Self.phb(index))
    invalidation.completion()
    return invalidation
  }

  /// Lets the physical device do something.
  func hardware(_ operation: HardwareOperation, _ irq: UInt16, phb: UInt16 = 0)
    throws(DeviceError)
  {
    try device.perform(operation, on: Self.irq(irq), phb: Self.phb(phb))?.completion()
  }

  /// The state of a PHB's interrupt, or nil where there is none.
  func hardwareState(_ irq: UInt16, phb: UInt16 = 0) -> SourceState? {
    device.state(of: Self.irq(irq), phb: Self.phb(phb))
  }

  func hardwarePQ(_ irq: UInt16, phb: UInt16 = 0) -> PQ? { hardwareState(irq, phb: phb)?.pq }

  /// An interrupt's page in its PHB's own region.
  func ownPage(_ irq: UInt16, phb: UInt16 = 0) -> UInt64 {
    map.offset(of: .phb(Self.phb(phb), Self.irq(irq)))
  }

  /// Sets PQ of a PHB's interrupt through its own page, as the host's driver does.
  func setHardwarePQ(_ irq: UInt16, _ pq: PQ, phb: UInt16 = 0) throws {
    try load(ownPage(irq, phb: phb) + 0xc00 + UInt64(pq.rawValue) << 8)
  }

  /// Reads PQ by an exact load of a management page.
  func get(_ page: UInt64) throws -> UInt64 { try load(page + 0x800) }

  /// Ends an interrupt by an exact load of a management page.
  @discardableResult
  func endOfInterrupt(_ page: UInt64) throws -> UInt64 { try load(page) }

  func backing(_ source: UInt32) -> Backing? {
    device.backingWord(of: LISN(rawValue: source))?.backing
  }

  func generation(_ source: UInt32) -> UInt32? {
    device.backingWord(of: LISN(rawValue: source))?.generation
  }

  /// Events that went to the host.
  var hostEvents: UInt64 { device.counters.hostEvents.value }

  /// The signature that a fill of a page shows.
  func signature(_ page: UInt64) throws -> PageSignature? { PageSignature(image: try image(page)) }

  /// How many changes have not come to their end.
  var changesUnderWay: Int { device.transitions.withLock(\.count) }

  /// Both pages of a source in both windows.
  func pages(of source: UInt32) -> [UInt64] {
    ESBWindow.allCases.flatMap { window in
      [ESBHalf.trigger, .management].map { offset(source, $0, window) }
    }
  }
}

extension PageSignature {
  /// Reads the signature of an image.
  init?(image: [UInt8]) {
    self.init(registers: .init { image.slot(PageSignature.offset / 8 + $0) })
  }
}

/// Everything that a device knows: what a refused request must leave as it was.
struct Snapshot: Hashable {
  let states: [UInt8]
  let backings: [UInt64]
  let hardware: [[UInt8]]
  let served: [[UInt32?]]
  let fenced: [Bool]
  let shapes: [PHBShape]
  let transitions: Int
  let counters: Rig.Counts
  let hostEvents: UInt64
  let zaps: UInt64
  let wakeUps: Int

  init(_ rig: Rig, phbCount: UInt16 = UInt16(PHBIndex.maximumCount)) {
    let device = rig.device
    let phbs = (0..<phbCount).compactMap { device.phbs[Rig.phb($0)] }
    states = rig.states
    backings = (0..<device.configuration.sourceCount).map {
      device.sources.backings[LISN(rawValue: $0)].rawValue
    }
    hardware = phbs.map { phb in phb.irqs.map { phb.cells.state(of: $0).rawValue } }
    served = phbs.map { phb in phb.irqs.map { phb.lisn(servedBy: $0)?.rawValue } }
    fenced = phbs.map(\.isFenced)
    shapes = phbs.map(\.shape)
    transitions = rig.changesUnderWay
    counters = rig.counters
    hostEvents = rig.hostEvents
    zaps = device.counters.zaps.value
    wakeUps = rig.host.wakeUps
  }
}

extension Rig {
  /// Expects that a request is refused and that nothing at all has changed.
  func expectNothing(
    _ error: DeviceError, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ request: () throws(DeviceError) -> Void
  ) {
    let before = Snapshot(self)
    #expect(throws: error, comment, sourceLocation: sourceLocation) { try request() }
    #expect(Snapshot(self) == before, comment, sourceLocation: sourceLocation)
  }
}
