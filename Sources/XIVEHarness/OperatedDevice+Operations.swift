internal import DeviceClient
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel

extension OperatedDevice {
  // MARK: - Hot-plug

  /// Plugs a PHB.
  func plug(_ phb: PHBIndex, _ shape: PHBShape) throws {
    stage.note("plug PHB \(phb.rawValue): \(shape.msiCount) MSIs, \(shape.lsiCount) LSIs")
    var next = model
    next.plug(phb, shape)
    try change([], phb: phb, to: next) { device throws(XIVEClientError) in
      try device.addPHB(phb, shape)
    }
  }

  /// Unplugs a PHB, whatever is mapped to it.
  func unplug(_ phb: PHBIndex) throws {
    let served = model.sources(servedBy: phb)
    stage.note("unplug PHB \(phb.rawValue), which serves \(served.count) sources")
    var next = model
    next.unplug(phb)
    try change(served, phb: phb, to: next) { device throws(XIVEClientError) in
      try device.removePHB(phb)
    }
  }

  /// Maps a run of sources to a PHB's interrupts.
  func map(_ run: PassthroughRun, prefault: Bool = false) throws {
    stage.note("map \(run.text)\(prefault ? ", prefaulted" : "")")
    var next = model
    next.map(run)
    try change(run.lisns, to: next) { device throws(XIVEClientError) in
      try device.map(run, prefault: prefault)
    }
    if isTrapped { try tellApart(run) }
  }

  /// Gives neighbouring interrupts of a run other states than each other's and than the sources' own, which are off: by
  /// its state alone a trapped window tells whose page it has.
  private func tellApart(_ run: PassthroughRun) throws {
    let states = [PQ.reset, .pending, .queued]
    let first = Int.random(in: 0..<states.count, using: &stage.random)
    for (index, (lisn, _)) in run.pairs.enumerated() {
      try setPQ(of: lisn, to: states[(first + index) % states.count])
    }
  }

  /// Unmaps a run.
  func unmap(_ run: PassthroughRun, prefault: Bool = false) throws {
    stage.note("unmap \(run.text)\(prefault ? ", prefaulted" : "")")
    var next = model
    next.unmap(run)
    try change(run.lisns, to: next) { device throws(XIVEClientError) in
      try device.unmap(run, prefault: prefault)
    }
  }

  // MARK: - What devices and guests do

  /// Does what the physical device does.
  func perform(_ operation: HardwareOperation, _ target: PassthroughTarget) throws {
    stage.note("\(operation) PHB \(target.phb.rawValue) irq \(target.irq.rawValue)")
    let isWhole = operation == .fence || operation == .unfence
    let sources = isWhole ? model.sources(servedBy: target.phb) : []
    let owners = sources.map { WatchedPage.Owner.source($0) } + watchedPages(of: target.phb)
    try operate(on: isWhole ? owners : self.owners(of: target)) {
      try descriptor.perform(operation, phb: target.phb, irq: target.irq)
      model.perform(operation, target)
    }
  }

  /// Triggers a source as its guest does, by an exact store.
  func trigger(_ lisn: LISN) throws {
    stage.note("trigger LISN \(lisn)")
    try operate(on: owners(of: lisn)) {
      try descriptor.trigger(lisn)
      model.trigger(lisn)
    }
  }

  /// Ends an interrupt as its guest does, by an exact load, whose value must be right.
  func endOfInterrupt(_ lisn: LISN) throws {
    stage.note("end LISN \(lisn)")
    try operate(on: owners(of: lisn)) {
      let forwards = try descriptor.endOfInterrupt(lisn)
      // All ones is not 1: nobody hears of an EOI on a fenced page.
      try stage.expect(
        "EOI of LISN \(lisn) forwards an event", model.endOfInterrupt(lisn) ?? false, forwards)
    }
  }

  /// Sets PQ as a guest does; the value before must be right.
  func setPQ(of lisn: LISN, to pq: PQ) throws {
    stage.note("set PQ of LISN \(lisn) to \(pq)")
    try operate(on: owners(of: lisn)) {
      let old = try descriptor.setPQ(of: lisn, to: pq)
      try stage.expect(
        "PQ of LISN \(lisn) before it was set", Shown(model.pq(of: lisn)), Shown(old))
      model.setPQ(of: lisn, to: pq)
    }
  }

  /// Sets PQ of a PHB's interrupt as the host does, by its own page; the value before must be right.
  func setPQ(of target: PassthroughTarget, to pq: PQ) throws {
    let page = map.offset(of: .phb(target.phb, target.irq))
    try operate(on: owners(of: target)) {
      let old = try descriptor.device.load(at: page + 0xc00 + UInt64(pq.rawValue) * 0x100)
      let line = model.line(target)
      try stage.expect(
        "PQ of PHB \(target.phb.rawValue) irq \(target.irq.rawValue) before it was set",
        UInt64(line?.pq.rawValue ?? 0), old)
      model.setPQ(of: target, to: pq)
    }
  }

  /// Maps and unmaps a run until the server has died under it; what becomes of it is open.
  /// - Returns: the error.
  func mapUntilDeath(_ run: PassthroughRun) -> String {
    while true {
      do {
        try map(run)
        try unmap(run)
      } catch { return "\(error)" }
    }
  }

  /// What an exact load of the file says.
  func errorOfAccess() -> String {
    do throws(DeviceClientError) {
      return
        "\(try descriptor.device.load(at: map.offset(of: .esb(LISN(rawValue: 0), .management))))"
    } catch { return error.errno == .socketNotConnected ? "ENOTCONN" : "\(error)" }
  }

  // MARK: - Looking

  /// Compares what a source's guest sees, and who serves it, with what must be.
  func verify(_ lisn: LISN) throws {
    try stage.expect(
      "PQ of LISN \(lisn)", Shown(model.pq(of: lisn)), Shown(try descriptor.pq(of: lisn)))
    let status = try descriptor.passthrough(of: lisn)
    let source = model.sources[lisn]
    try stage.expect(
      "who serves LISN \(lisn)", Shown(source?.server), Shown(status.target))
    try stage.expect(
      "generation of LISN \(lisn)", source?.generation ?? 0, status.generation)
  }

  /// Compares an interrupt's state with what must be.
  func verify(_ target: PassthroughTarget) throws {
    let name = "PHB \(target.phb.rawValue) irq \(target.irq.rawValue)"
    let state = try descriptor.state(phb: target.phb, irq: target.irq)
    let line = model.line(target)
    try stage.expect("PQ of \(name)", Shown(line?.pq), Shown(state.pq))
    try stage.expect("line of \(name)", line?.isAsserted ?? false, state.isAsserted)
  }

  /// Compares the events that guest and host have got with what must be.
  func verifyEvents() throws {
    let counters = try descriptor.counters()
    try stage.expect("events for the guest", model.events, counters.events)
    try stage.expect("events for the host", model.hostEvents, counters.hostEvents)
  }
}

/// A value as people read it: all ones where there is none.
struct Shown<Value: Equatable>: Equatable, CustomStringConvertible {
  let value: Value?
  init(_ value: Value?) { self.value = value }
  var description: String { value.map { "\($0)" } ?? "none" }
}

extension PassthroughRun {
  /// The sources.
  var lisns: [LISN] { (0..<count).map { LISN(rawValue: firstLISN.rawValue + $0) } }

  /// What people call it.
  var text: String {
    let last = LISN(rawValue: firstLISN.rawValue + count - 1)
    return "LISN \(firstLISN)-\(last) to PHB \(phb.rawValue) irq \(firstIRQ.rawValue) and on"
  }
}

extension WatchedPage {
  /// Both pages of some sources, in both windows: what an overmap changes.
  static func pages(of sources: Range<UInt32>, _ map: DeviceMap) -> [WatchedPage] {
    sources.flatMap { number in
      ESBHalf.allCases.flatMap { half in
        let lisn = LISN(rawValue: number)
        return [map.kernelOffset(of: lisn, half), map.offset(of: .esb(lisn, half))].map {
          WatchedPage(owner: .source(lisn), half: half, offset: $0)
        }
      }
    }
  }

  /// The own pages of a PHB.
  static func pages(of phb: PHBIndex, count: UInt32, _ map: DeviceMap) -> [WatchedPage] {
    (0..<count).map { number in
      let irq = HardwareIRQ(rawValue: UInt16(number))
      return WatchedPage(
        owner: .phb(phb, irq), half: .management, offset: map.offset(of: .phb(phb, irq)))
    }
  }
}
