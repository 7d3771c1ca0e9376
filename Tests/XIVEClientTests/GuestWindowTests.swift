import DeviceClient
import SystemCalls
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("A guest's window", .enabled(if: Requirement.canMount), .hangGuard)
struct GuestWindowTests {
  private static let geometries: [[String]] = ["4k", "64k"].flatMap { size in
    ["2", "1"].map { ["--page-size", size, "--esb-pages", $0] }
  }
  private static let bases: [GuestWindow.Base] = [.esb, .kernel]

  /// What every source of a window shows: the run of those that are plugged, or its own page.
  private func expect(
    _ window: borrowing GuestWindow, shows runs: [PassthroughRun], in base: GuestWindow.Base = .esb,
    _ device: borrowing XIVEDescriptor, _ comment: Comment? = nil,
    _ location: SourceLocation = #_sourceLocation
  ) {
    let halves: [ESBHalf] =
      device.geometry.pagesPerSource == 2 ? [.trigger, .management] : [.management]
    for number in window.sources.lowerBound.rawValue..<window.sources.upperBound.rawValue {
      let lisn = LISN(rawValue: number)
      let run = runs.first { number &- $0.firstLISN.rawValue < $0.count }
      for half in halves {
        let expected: UInt64 =
          if let run {
            device.map.offset(
              of: .phb(
                run.phb,
                HardwareIRQ(
                  rawValue: run.firstIRQ.rawValue + UInt16(number - run.firstLISN.rawValue))))
          } else if base == .kernel {
            device.map.kernelOffset(of: lisn, half)
          } else {
            device.map.offset(of: .esb(lisn, half))
          }
        let shown = window.signature(of: lisn, half)
        #expect(shown?.deviceOffset == expected, comment, sourceLocation: location)
        #expect(shown?.backing == (run == nil ? .ipi : .phb), comment, sourceLocation: location)
      }
    }
    #expect(window.plugged == runs, comment, sourceLocation: location)
  }

  @Test("A plugged run shows the PHB's own pages in its place alone", arguments: geometries, bases)
  func plug(_ options: [String], _ base: GuestWindow.Base) throws {
    let served = try ServedDevice(
      ["--sources", "16", "--create", "0-15", "--phb", "2:8"] + options)
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 0..<16, in: base)
    #expect(window.byteCount == 32 * Int(device.map.pageByteCount))
    expect(window, shows: [], in: base, device)
    let run = PassthroughRun(5, to: 2, 3, count: 4)
    try window.plug(run)
    expect(window, shows: [run], in: base, device)
    // All 4 KiB of a device page, and the page's identity.
    let end = window.offset(of: 9, .trigger)
    #expect(window.load(at: end - 64) == PageSignature.magic)
    let shown = window.signature(of: 8, .management)
    #expect(shown?.phb == 2 && shown?.hardwareIRQ == 6)
    try window.unplug(run)
    expect(window, shows: [], in: base, device)
  }

  @Test("A window may begin at any source of region 1, and end at any")
  func part() throws {
    let served = try ServedDevice(["--sources", "16", "--create", "0-15", "--phb", "2:8"])
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 6..<11)
    expect(window, shows: [], device)
    let run = PassthroughRun(6, to: 2, 0, count: 5)
    try window.plug(run)
    expect(window, shows: [run], device)
    // The last source as well, with nothing behind it.
    try window.unplug(run)
    let last = PassthroughRun(10, to: 2, 7)
    try window.plug(last)
    expect(window, shows: [last], device)
  }

  @Test("Windows that the device does not have are refused", arguments: bases)
  func windowRefusals(_ base: GuestWindow.Base) throws {
    let served = try ServedDevice(["--sources", "16"])
    let device = try XIVEDescriptor(served.path)
    func refused(_ sources: Range<LISN>) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in try GuestWindow(device, sources, in: base) }
    }
    #expect(refused(0..<17) == .noSuchSource(16, count: 16))
    #expect(refused(20..<30) == .noSuchSource(20, count: 16))
    let start = device.map.offset(of: .esb(3, .trigger))
    #expect(
      refused(3..<3)
        == (base == .kernel
          ? .window(pageOffset: 10, pageCount: 0)
          : .device(.unaligned(offset: start, byteCount: 0))))
    if base == .kernel { #expect(refused(3..<5) == .window(pageOffset: 10, pageCount: 4)) }
    #expect(try mappingCount(of: served.path) == 0)
    #expect(try descriptorCount(of: served.path) == 1)
  }

  @Test("Runs that are in the way, beyond the window or of no PHB are refused, and nothing changes")
  func refusals() throws {
    let served = try ServedDevice([
      "--sources", "32", "--create", "0-31", "--phb", "2:8", "--phb", "3:4",
    ])
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 8..<24)
    let plugged = PassthroughRun(12, to: 2, 2, count: 4)
    try window.plug(plugged)
    func run(_ first: UInt32, _ count: UInt32) -> PassthroughRun {
      PassthroughRun(LISN(rawValue: first), to: 2, 0, count: count)
    }
    var cases: [(PassthroughRun, XIVEClientError)] = [
      (plugged, .plugged(plugged, over: plugged)),
      (run(8, 0), .emptyRun(run(8, 0))),
      (PassthroughRun(8, to: 4, 0), .noSuchPHB(4)),
      (PassthroughRun(16, to: 3, 4), .noSuchInterrupts(PassthroughRun(16, to: 3, 4))),
      (run(8, 9), .noSuchInterrupts(run(8, 9))),
    ]
    for other in [run(12, 4), run(11, 2), run(15, 1), run(13, 2), run(9, 8)] {
      cases.append((other, .plugged(other, over: plugged)))
    }
    for other in [
      run(7, 2), run(23, 2), run(0, 1), run(24, 1), run(.max, 2), run(8, .max), run(.max, .max),
    ] {
      cases.append((other, .outsideWindow(other, sources: 8..<24)))
    }
    for (other, expected) in cases {
      #expect(refusal { () throws(XIVEClientError) in try window.plug(other) } == expected)
    }
    for other in [
      PassthroughRun(12, to: 2, 2, count: 3), PassthroughRun(12, to: 2, 3, count: 4),
      PassthroughRun(11, to: 2, 1, count: 4), PassthroughRun(12, to: 3, 2, count: 4),
      PassthroughRun(13, to: 2, 3, count: 3), PassthroughRun(0, to: 2, 0),
      PassthroughRun(12, to: 2, 2, count: 0),
    ] {
      let error = refusal { () throws(XIVEClientError) in try window.unplug(other) }
      #expect(error == .notPlugged(other))
    }
    expect(window, shows: [plugged], device)
  }

  @Test("A refusal names the run, what is in its way, and the remedy")
  func words() {
    let run = PassthroughRun(0x12, to: 2, 2, count: 4)
    let name = "LISNs 0x12-0x15 on PHB 2, interrupts 2-5"
    let other = PassthroughRun(0x15, to: 7, 0)
    let cases: [(XIVEClientError, Errno, String)] = [
      (
        .plugged(run, over: other), .fileExists,
        "in the way is LISN 0x15 on PHB 7, interrupt 0: unplug that first"
      ),
      (
        .outsideWindow(run, sources: 8..<20), .invalidArgument,
        "the window has LISNs from 0x8 to below 0x14"
      ),
      (
        .notPlugged(run), .noSuchFileOrDirectory,
        "not plugged so: unplug exactly what was plugged"
      ),
      (
        .plug(run, .noMemory), .noMemory,
        "the window stays as it was: too many mappings: raise vm.max_map_count"
      ),
      (
        .halfPlugged(run, .noMemory), .noMemory,
        "plugged in part, and has to be unplugged: too many mappings: raise vm.max_map_count"
      ),
    ]
    for (error, errno, words) in cases {
      #expect(error.errno == errno)
      #expect(error.description == "\(name): \(words)")
    }
  }

  @Test("Two devices lie side by side, and come back in another order")
  func sideBySide() throws {
    let served = try ServedDevice([
      "--sources", "16", "--create", "0-15", "--phb", "0:8", "--phb", "1:8",
    ])
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 0..<16)
    // Also where the second continues the first in the PHB's own region.
    let runs = [
      PassthroughRun(2, to: 0, 0, count: 4), PassthroughRun(6, to: 0, 4, count: 4),
      PassthroughRun(10, to: 1, 0, count: 6),
    ]
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
      var plugged: [PassthroughRun] = []
      for index in order {
        try window.plug(runs[index])
        plugged.append(runs[index])
        expect(window, shows: plugged, device)
      }
      for index in order.reversed() where index != 1 {
        try window.unplug(runs[index])
        plugged.removeAll { $0 == runs[index] }
        expect(window, shows: plugged, device)
      }
      try window.unplug(runs[1])
    }
    expect(window, shows: [], device)
  }

  @Test("A device whose numbers were another's shows its own pages and no other's")
  func recycled() throws {
    let served = try ServedDevice(["--sources", "16", "--create", "0-15", "--phb", "5:8"])
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 0..<16)
    let run = PassthroughRun(4, to: 5, 0, count: 6)
    for generation in 1...3 as ClosedRange<UInt64> {
      try window.plug(run)
      expect(window, shows: [run], device)
      #expect(window.signature(of: 4, .trigger)?.generation == generation)
      // The state is that of the interrupt, and new with each device.
      let management = window.offset(of: 6, .management)
      #expect(window.load(at: management + 0x800) == 1)
      let exact = device.map.offset(of: .phb(5, 2))
      let old = try device.device.load(at: exact + 0xc00)
      #expect(old == 1)
      try device.perform(.trigger, phb: 5, irq: 2)
      try until { window.load(at: management + 0x800) == 2 }
      // Unplugged late, after the PHB has gone.
      try device.removePHB(5)
      try window.unplug(run)
      expect(window, shows: [], device)
      try device.addPHB(5, PHBShape(msiCount: 8))
    }
  }

  @Test(
    "A store to a plugged page is the PHB's, through either page",
    arguments: [ESBHalf.trigger, .management])
  func stores(_ half: ESBHalf) throws {
    let served = try ServedDevice(["--sources", "16", "--create", "0-15", "--phb", "5:8"])
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 0..<16)
    try window.plug(PassthroughRun(4, to: 5, 0, count: 6))
    _ = try device.device.load(at: device.map.offset(of: .phb(5, 2)) + 0xc00)
    window.store(0, at: window.offset(of: 6, half))
    try until { try device.state(phb: 5, irq: 2).pq == .pending }
    #expect(try device.pq(of: 6) == .off)
    // The unplugged neighbour's store is its own source's.
    try device.setPQ(of: 3, to: .reset)
    window.store(0, at: window.offset(of: 3, .trigger))
    try until { try device.pq(of: 3) == .pending }
  }

  /// Waits for what a server does a moment later.
  private func until(_ condition: () throws -> Bool) throws {
    for _ in 0..<10_000 where try !condition() { MonotonicClock.sleep(nanoseconds: 1_000_000) }
    #expect(try condition())
  }

  @Test("Random runs come and go, and the window is always what a list of them says")
  func random() throws {
    let served = try ServedDevice([
      "--sources", "24", "--create", "0-23", "--phb", "0:16", "--phb", "1:16", "--phb", "2:4",
    ])
    let device = try XIVEDescriptor(served.path)
    let window = try GuestWindow(device, 2..<22)
    var generator = Seed.generator()
    let comment = Comment(rawValue: Seed.comment)
    var plugged: [PassthroughRun] = []
    for _ in 0..<400 {
      let run = PassthroughRun(
        LISN(rawValue: .random(in: 0..<24, using: &generator)),
        to: [0, 1, 2, 3].randomElement(using: &generator) ?? 0,
        HardwareIRQ(rawValue: .random(in: 0..<16, using: &generator)),
        count: .random(in: 0..<7, using: &generator))
      let overlapping = plugged.filter {
        $0.firstLISN.rawValue < run.firstLISN.rawValue + run.count
          && run.firstLISN.rawValue < $0.firstLISN.rawValue + $0.count
      }
      let interrupts: UInt32 = [16, 16, 4, 0][Int(run.phb.rawValue)]
      let isGood =
        run.count > 0 && run.firstLISN >= 2 && run.firstLISN.rawValue + run.count <= 22
        && UInt32(run.firstIRQ.rawValue) + run.count <= interrupts && overlapping.isEmpty
      let error = refusal { () throws(XIVEClientError) in try window.plug(run) }
      #expect((error == nil) == isGood, comment)
      if isGood { plugged.append(run) }
      if plugged.count > 2, let victim = plugged.randomElement(using: &generator) {
        try window.unplug(victim)
        plugged.removeAll { $0 == victim }
      }
      expect(window, shows: plugged, device, comment)
    }
    #expect(plugged.count > 0, comment)
    // Base and overlays: no mapping has been left behind by what came and went.
    #expect(try mappingCount(of: served.path) <= 2 * 20 + 2, comment)
  }

  @Test("A window unmaps itself when its owner goes, plugged or not, and outlives the descriptor")
  func life() throws {
    let served = try ServedDevice(["--sources", "16", "--create", "0-15", "--phb", "2:8"])
    func use() throws {
      func make() throws -> GuestWindow { try GuestWindow(try XIVEDescriptor(served.path), 0..<16) }
      let window = try make()
      #expect(try descriptorCount(of: served.path) == 1)
      #expect(try mappingCount(of: served.path) == 1)
      let run = PassthroughRun(4, to: 2, 0, count: 4)
      try window.plug(run)
      // Base, 4 messages with 2 pages each in 5 pieces, base.
      #expect(try mappingCount(of: served.path) == 7)
      expect(window, shows: [run], try XIVEDescriptor(served.path))
    }
    try use()
    #expect(try mappingCount(of: served.path) == 0)
    #expect(try descriptorCount(of: served.path) == 0)
  }

  @Test("A register beyond the window's end is the caller's bug")
  func bounds() async throws {
    let served = try ServedDevice(["--sources", "16"])
    // Where there is no window, they end well.
    await #expect(processExitsWith: .failure) { [path = served.path as String] in
      guard let window = try? GuestWindow(XIVEDescriptor(path), 0..<16) else { return }
      _ = window.load(at: window.byteCount)
    }
    await #expect(processExitsWith: .failure) { [path = served.path as String] in
      guard let window = try? GuestWindow(XIVEDescriptor(path), 0..<16) else { return }
      _ = window.offset(of: 16, .trigger)
    }
  }
}
