internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

extension Scenario {
  /// A PHB is fenced and lifted again, with its pages mapped.
  static let fenceRecover = Scenario(
    "fence-recover", "A mapped PHB is fenced: all ones, nothing taken; and it recovers.",
    cycles: 100
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(2)
    let run = PassthroughRun(LISN(rawValue: 24), to: phb, HardwareIRQ(rawValue: 0), count: 4)
    let lisn = run.firstLISN
    let target = PassthroughTarget(phb, run.firstIRQ)
    let level = PassthroughTarget(phb, HardwareIRQ(rawValue: 3))
    try stage.step("plug and map a device, watch LISN 0x18-0x1b", expected: "all pages, signed") {
      try device.plug(phb, PHBShape(msiCount: 3, lsiCount: 1))
      try device.map(run)
      try device.watch(WatchedPage.pages(of: 24..<28, device.map))
      return "\(device.reads) signatures, none wrong"
    }
    let pages = try device.descriptor.mapSource(lisn)
    let shown = Int(device.map.pageByteCount) + 0x800
    try stage.cycles(
      "fence, use, unfence", expected: "all ones meanwhile, and afterwards the state of before"
    ) { _ in
      try device.setPQ(of: lisn, to: .reset)
      try stage.eventually("PQ in the mapping before the fence", 0) { pages.probe(at: shown) }
      try device.perform(.fence, target)
      // Not eventually: the answer says that mapped pages show it.
      try stage.expect("PQ in the mapping of a fenced page", .value(.max), pages.probe(at: shown))
      try device.verify(lisn)
      try device.trigger(lisn)
      try device.endOfInterrupt(lisn)
      try device.setPQ(of: lisn, to: .off)
      try device.perform(.trigger, target)
      try device.perform(Bool.random(using: &stage.random) ? .assert : .deassert, level)
      if stage.settles() { try device.settle() }
      try device.perform(.unfence, target)
      try stage.eventually("PQ in the mapping after the fence", 0) { pages.probe(at: shown) }
      try device.verify(target)
      try device.verify(level)
      try device.endOfInterrupt(LISN(rawValue: 27))
      try device.trigger(lisn)
      try device.verify(lisn)
      try device.verifyEvents()
    }
  }
}

extension Stage {
  /// Waits for what a mapping shows soon, but not at once.
  func eventually(_ what: String, _ expected: UInt64, _ look: () -> MappedRegion.Probe) throws {
    let deadline = MonotonicClock.nanoseconds + 5_000_000_000
    var seen = look()
    while seen != .value(expected), MonotonicClock.nanoseconds < deadline { seen = look() }
    try expect(what, .value(expected), seen)
  }
}
