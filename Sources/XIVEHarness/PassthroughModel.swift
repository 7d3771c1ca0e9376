internal import XIVEClient
internal import XIVEModel

/// What must be true of a device's sources and PHBs, in the simplest form: plain values, one change at a time.
///
/// Written from the contract and not from the device's code, so that the two can be held against each other.
/// Source: Linux `arch/powerpc/kvm/book3s_xive.c`, `kvmppc_xive_set_mapped`, `kvmppc_xive_clr_mapped`.
struct PassthroughModel: Hashable {
  /// A source: the state of its own, and who serves it.
  struct Source: Hashable {
    var pq = PQ.off
    var generation: UInt64 = 1
    var server: PassthroughTarget?
  }

  /// A PHB's interrupt: its state, and which source it serves.
  struct Line: Hashable {
    var pq = PQ.off
    var isAsserted = false
    var source: LISN?
  }

  /// A PHB that is plugged.
  struct PHB: Hashable {
    let shape: PHBShape
    var isFenced = false
    var lines: [Line]
  }

  private(set) var sources: [LISN: Source] = [:]
  private(set) var phbs: [PHBIndex: PHB] = [:]
  /// How often a PHB was plugged at an index: the generation of its own pages.
  private(set) var plugs: [PHBIndex: UInt64] = [:]
  /// Events that went to the guest.
  private(set) var events: UInt64 = 0
  /// Events that went to the host.
  private(set) var hostEvents: UInt64 = 0

  /// Creates the model of a device with message sources that nobody has touched.
  init(created: ClosedRange<UInt32>) {
    for number in created { sources[LISN(rawValue: number)] = Source() }
  }

  // MARK: - Plugging

  mutating func plug(_ phb: PHBIndex, _ shape: PHBShape) {
    phbs[phb] = PHB(shape: shape, lines: Array(repeating: Line(), count: Int(shape.irqCount)))
    plugs[phb, default: 0] += 1
  }

  mutating func unplug(_ phb: PHBIndex) {
    for lisn in sources(servedBy: phb) { unmap(lisn) }
    phbs[phb] = nil
  }

  /// The sources that a PHB serves, in ascending order.
  func sources(servedBy phb: PHBIndex) -> [LISN] {
    (phbs[phb]?.lines ?? []).compactMap(\.source).sorted()
  }

  // MARK: - Mapping

  /// The device's interrupt becomes pending, so that the guest must end it first; what was pending or queued, there
  /// or in the source, comes then. The source's own state is off.
  mutating func map(_ run: PassthroughRun) {
    for (lisn, interrupt) in run.pairs {
      let wasQueued = sources[lisn]?.pq == .queued
      change(interrupt) { line in
        line.pq = line.pq == .pending || line.pq == .queued || wasQueued ? .queued : .pending
        line.source = lisn
      }
      change(lisn) { source in
        source.pq = .off
        source.server = interrupt
        source.generation += 1
      }
    }
  }

  mutating func unmap(_ run: PassthroughRun) { for (lisn, _) in run.pairs { unmap(lisn) } }

  /// The source is pending, so that its next trigger is queued; the device's interrupt is ended for the host.
  private mutating func unmap(_ lisn: LISN) {
    guard let interrupt = sources[lisn]?.server else { return }
    change(lisn) { source in
      source.pq = .pending
      source.server = nil
      source.generation += 1
    }
    change(interrupt) { $0.source = nil }
    end(interrupt)
  }

  // MARK: - What guest and device do

  /// The PQ that the guest sees; nil for all ones.
  func pq(of lisn: LISN) -> PQ? {
    guard let source = sources[lisn] else { return nil }
    guard let server = source.server else { return source.pq }
    return isFenced(server.phb) ? nil : line(server)?.pq
  }

  func isFenced(_ phb: PHBIndex) -> Bool { phbs[phb]?.isFenced ?? false }

  func line(_ interrupt: PassthroughTarget) -> Line? {
    phbs[interrupt.phb]?.lines[Int(interrupt.irq.rawValue)]
  }

  /// A store to the source's trigger page, which a mapped level interrupt does not have.
  mutating func trigger(_ lisn: LISN) {
    if let server = sources[lisn]?.server {
      if !isFenced(server.phb), !isLevel(server) { message(server) }
    } else {
      var forwards = false
      change(lisn) { forwards = $0.pq.trigger() }
      if forwards { events += 1 }
    }
  }

  /// An EOI load.
  /// - Returns: whether it forwards an event; nil for all ones.
  mutating func endOfInterrupt(_ lisn: LISN) -> Bool? {
    if let server = sources[lisn]?.server { return isFenced(server.phb) ? nil : end(server) }
    var forwards = false
    change(lisn) { forwards = $0.pq.endOfInterrupt() }
    if forwards { events += 1 }
    return forwards
  }

  mutating func setPQ(of lisn: LISN, to pq: PQ) {
    if let server = sources[lisn]?.server {
      if !isFenced(server.phb) { change(server) { $0.pq = pq } }
    } else {
      change(lisn) { $0.pq = pq }
    }
  }

  /// The host sets PQ of an interrupt by the PHB's own page.
  mutating func setPQ(of target: PassthroughTarget, to pq: PQ) { change(target) { $0.pq = pq } }

  /// What the physical device does.
  mutating func perform(_ operation: HardwareOperation, _ interrupt: PassthroughTarget) {
    switch operation {
    case .trigger: if !isFenced(interrupt.phb) { message(interrupt) }
    case .assert:
      change(interrupt) { $0.isAsserted = true }
      if !isFenced(interrupt.phb) { fireLevel(interrupt) }
    case .deassert: change(interrupt) { $0.isAsserted = false }
    case .fence: phbs[interrupt.phb]?.isFenced = true
    case .unfence:
      phbs[interrupt.phb]?.isFenced = false
      for index in phbs[interrupt.phb]?.lines.indices ?? 0..<0 {
        fireLevel(PassthroughTarget(interrupt.phb, HardwareIRQ(rawValue: UInt16(index))))
      }
    }
  }

  /// Whether an interrupt is level-sensitive.
  func isLevel(_ interrupt: PassthroughTarget) -> Bool {
    phbs[interrupt.phb]?.shape.isLSI(interrupt.irq) ?? false
  }

  // MARK: - Parts

  private mutating func message(_ interrupt: PassthroughTarget) {
    var forwards = false
    change(interrupt) { forwards = $0.pq.trigger() }
    if forwards { count(interrupt) }
  }

  @discardableResult
  private mutating func end(_ interrupt: PassthroughTarget) -> Bool {
    var forwards = false
    change(interrupt) { forwards = $0.pq.endOfInterrupt() }
    if forwards { count(interrupt) }
    return fireLevel(interrupt) || forwards
  }

  /// A line that is held fires once its interrupt has been ended.
  @discardableResult
  private mutating func fireLevel(_ interrupt: PassthroughTarget) -> Bool {
    guard let line = line(interrupt), line.isAsserted, line.pq == .reset else { return false }
    change(interrupt) { $0.pq = .pending }
    count(interrupt)
    return true
  }

  private mutating func count(_ interrupt: PassthroughTarget) {
    if line(interrupt)?.source == nil { hostEvents += 1 } else { events += 1 }
  }

  private mutating func change(_ lisn: LISN, _ body: (inout Source) -> Void) {
    guard var source = sources[lisn] else { return }
    body(&source)
    sources[lisn] = source
  }

  private mutating func change(_ interrupt: PassthroughTarget, _ body: (inout Line) -> Void) {
    guard var line = line(interrupt) else { return }
    body(&line)
    phbs[interrupt.phb]?.lines[Int(interrupt.irq.rawValue)] = line
  }
}

extension PassthroughRun {
  /// Each source with the interrupt behind it.
  var pairs: [(LISN, PassthroughTarget)] {
    (0..<count).map { index in
      let irq = HardwareIRQ(rawValue: UInt16(UInt32(firstIRQ.rawValue) + index))
      return (
        LISN(rawValue: firstLISN.rawValue + index),
        PassthroughTarget(phb, irq)
      )
    }
  }
}
