internal import CBench
internal import DeviceClient
internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEHarness
internal import XIVEModel

/// What a load or a store through a plain pointer costs where it traps, beside the parts that it is made of.
final class PointerBench {
  private let plan: BenchPlan
  private let source: PointedSource
  private let guest: LoadingGuest?
  private var series: [Turn: BenchSeries] = [:]

  private enum Turn: Hashable, CaseIterable {
    case fault, exactLoad, loadAfterFault, trappedLoad, exactStore, storeAfterFault, trappedStore
    case exit
  }

  /// Nanoseconds that decoding, finding the window and completing may take beside the trap and the access.
  private static let allowance = 1_000.0

  /// Starts a server, and a guest where there can be one.
  init(_ plan: BenchPlan) throws(BenchFailure) {
    self.plan = plan
    source = try PointedSource()
    guest = Need.kvm.whatIsMissing == nil ? try LoadingGuest() : nil
  }

  /// Measures in turns; the first round warms up.
  /// - Throws: `BenchFailure`.
  static func run(_ plan: BenchPlan, _ progress: BenchProgress) throws(BenchFailure)
    -> [BenchFigure]
  {
    #if arch(x86_64)
    return try PointerBench(plan).run(progress)
    #else
    return Figure.all.map { $0.skipped("trapped windows need an x86-64 processor") }
    #endif
  }

  private func run(_ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    for round in 0...plan.rounds {
      try progress.show("pointers: round \(round) of \(plan.rounds)")
      for turn in Turn.allCases {
        let samples = try measure(turn)
        if round > 0 { series[turn, default: BenchSeries()].append(samples) }
      }
    }
    return Figure.all.map { $0.turn == .exit && guest == nil ? skippedExit($0) : measured($0) }
  }

  private func measure(_ turn: Turn) throws(BenchFailure) -> [Double] {
    switch turn {
    case .fault:
      return try unsafe counted("a bare fault", plan.accesses) { unsafe cbench_fault(nil, $0, $1) }
    case .loadAfterFault: return try source.measureLoadsAfterFaults(plan.accesses)
    case .storeAfterFault: return try source.measureStoresAfterFaults(plan.accesses)
    case .exactLoad: return try source.measureLoads(plan.accesses, PointedSource.loadExactly)
    case .trappedLoad: return try source.measureLoads(plan.accesses, PointedSource.loadByPointer)
    case .exactStore: return try source.measureStores(plan.accesses, PointedSource.storeExactly)
    case .trappedStore:
      return try source.measureStores(plan.accesses, PointedSource.storeByPointer)
    case .exit: return try guest?.measure(plan.accesses) ?? []
    }
  }

  // MARK: - Figures

  private struct Figure {
    let id, name: String
    let turn: Turn
    /// The exact access of the sum that it is compared with.
    var part: Turn?
    var target: BenchFigure.Target?

    static let all = [
      Figure(id: "bareFault", name: "SIGSEGV, a handler that does nothing, and back", turn: .fault),
      Figure(id: "kvmExit", name: "KVM MMIO exit and re-entry", turn: .exit),
      Figure(id: "pointerExactLoad", name: "exact load beside it", turn: .exactLoad),
      Figure(id: "pointerExactStore", name: "exact store beside it", turn: .exactStore),
      // What the parts cost when one follows the other, which is more than their sum.
      Figure(
        id: "loadAfterFault", name: "SIGSEGV, then exact load, to the same sum",
        turn: .loadAfterFault, part: .exactLoad),
      Figure(
        id: "storeAfterFault", name: "SIGSEGV, then exact store, to the same sum",
        turn: .storeAfterFault, part: .exactStore),
      Figure(
        id: "trappedLoad", name: "trapped load, to SIGSEGV + exact load + 1 us",
        turn: .trappedLoad, part: .exactLoad, target: .atMost(1)),
      Figure(
        id: "trappedStore", name: "trapped store, to SIGSEGV + exact store + 1 us",
        turn: .trappedStore, part: .exactStore, target: .atMost(1)),
    ]

    func skipped(_ reason: String) -> BenchFigure {
      BenchFigure(
        id: id, name: name, unit: "us", xive: nil, judged: nil, target: target, skipped: reason)
    }
  }

  private func skippedExit(_ figure: Figure) -> BenchFigure {
    figure.skipped(Need.kvm.whatIsMissing ?? "there was no /dev/kvm")
  }

  private func measured(_ figure: Figure) -> BenchFigure {
    let microsecond = 1e-3
    let own = series[figure.turn] ?? BenchSeries()
    let bound = figure.part.map { self.bound(of: $0) }
    let ratio = bound.map { own.ratio(to: $0) }
    return BenchFigure(
      id: figure.id, name: figure.name, unit: "us", xive: own.spread(scaledBy: microsecond),
      baseline: bound?.spread(scaledBy: microsecond), ratio: ratio,
      judged: figure.target == nil ? nil : ratio?.medianOfRounds, target: figure.target)
  }

  /// What a trapped access may take, by round.
  private func bound(of access: Turn) -> BenchSeries {
    var result = BenchSeries()
    for (fault, access) in zip(series[.fault]?.rounds ?? [], series[access]?.rounds ?? []) {
      result.append([fault.percentile(50) + access.percentile(50) + Self.allowance])
    }
    return result
  }
}

/// A source of a served device that is accessed by calls and through a pointer that traps.
private final class PointedSource {
  private let device: XIVEDescriptor
  /// For accesses by the calls alone.
  private let file: OwnedDescriptor
  private let offset: UInt64
  private let pages: MappedRegion
  private let management: Int
  private let server: BenchServer

  private static let lisn = LISN(rawValue: 7)
  /// A load that resets PQ, so that the next trigger is forwarded: an operation with all its effects.
  private static let setReset = 0xc00

  init() throws(BenchFailure) {
    let server = try BenchServer.xive(sources: 64)
    do {
      let device = try XIVEDescriptor(server.path)
      pages = try device.mapSource(Self.lisn, access: .trapped)
      offset = device.map.offset(of: .esb(Self.lisn, .trigger))
      file = try OwnedDescriptor(opening: server.path, [.readWrite, .direct])
      management = Int(device.map.pageByteCount)
      self.device = device
    } catch { throw .system(server.path, error) }
    self.server = server
  }

  /// Measures loads that reset PQ.
  func measureLoads(_ count: Int, _ access: (PointedSource) throws -> Void) throws(BenchFailure)
    -> [Double]
  {
    try checked(from: .queued, to: .reset) { try repeated(count, access) }
  }

  /// Measures triggers, more than one.
  func measureStores(_ count: Int, _ access: (PointedSource) throws -> Void) throws(BenchFailure)
    -> [Double]
  {
    try checked(from: .reset, to: .queued) { try repeated(count, access) }
  }

  /// Measures the same load after a bare fault, both together: the pause makes it slower than one that follows another.
  func measureLoadsAfterFaults(_ count: Int) throws(BenchFailure) -> [Double] {
    let offset = offset + UInt64(management + Self.setReset)
    return try checked(from: .queued, to: .reset) {
      try afterFaults(count, isStore: false, at: offset)
    }
  }

  /// Measures the same store after a bare fault, both together.
  func measureStoresAfterFaults(_ count: Int) throws(BenchFailure) -> [Double] {
    try checked(from: .reset, to: .queued) {
      try afterFaults(count, isStore: true, at: offset)
    }
  }

  private func afterFaults(_ count: Int, isStore: Bool, at offset: UInt64) throws -> [Double] {
    var access = cbench_access(fd: file.rawValue, is_store: isStore, offset: offset)
    return try unsafe counted(server.path, count) { unsafe cbench_fault(&access, $0, $1) }
  }

  private func repeated(_ count: Int, _ access: (PointedSource) throws -> Void) throws -> [Double] {
    try (0..<count).map { _ in
      let start = MonotonicClock.nanoseconds
      try access(self)
      return Double(MonotonicClock.nanoseconds - start)
    }
  }

  /// Makes sure that the device has had the accesses that are measured: a fault that nobody turns into one is faster.
  private func checked(from before: PQ, to after: PQ, _ body: () throws -> [Double])
    throws(BenchFailure) -> [Double]
  {
    let samples: [Double]
    let seen: PQ?
    do {
      _ = try device.setPQ(of: Self.lisn, to: before)
      samples = try body()
      seen = try device.pq(of: Self.lisn)
    } catch let failure as BenchFailure { throw failure } catch {
      throw .system(server.path, error)
    }
    guard seen == after else { throw .lostAccesses(server.path) }
    return samples
  }

  static func loadExactly(_ source: PointedSource) throws {
    var value: UInt64 = 0
    _ = try unsafe withUnsafeMutableBytes(of: &value) { bytes throws(Errno) in
      try unsafe source.file.read(
        into: bytes, at: source.offset + UInt64(source.management + setReset))
    }
  }

  static func loadByPointer(_ source: PointedSource) {
    _ = source.pages.load(at: source.management + setReset)
  }

  static func storeExactly(_ source: PointedSource) throws {
    _ = try unsafe withUnsafeBytes(of: UInt64(0)) { bytes throws(Errno) in
      try unsafe source.file.write(bytes, at: source.offset)
    }
  }

  static func storeByPointer(_ source: PointedSource) { source.pages.store(0, at: 0) }
}

/// A guest that leaves for each load.
@safe
private final class LoadingGuest {
  // SAFETY: opened in `init`, closed in `deinit`, used by one thread.
  private let guest: OpaquePointer

  init() throws(BenchFailure) {
    var guest: OpaquePointer?
    let status = unsafe cbench_guest_open(&guest)
    guard status == 0, let guest = unsafe guest else {
      throw .system("/dev/kvm", Errno(rawValue: -status))
    }
    unsafe self.guest = guest
  }

  deinit { unsafe cbench_guest_close(guest) }

  func measure(_ count: Int) throws(BenchFailure) -> [Double] {
    try unsafe counted("a guest's exit", count) { unsafe cbench_guest_run(guest, $0, $1) }
  }
}

/// Has C measure so many times.
private func counted(
  _ what: String, _ count: Int, _ body: (Int, UnsafeMutablePointer<UInt64>?) -> CInt
) throws(BenchFailure) -> [Double] {
  var samples = [UInt64](repeating: 0, count: count)
  let status = unsafe samples.withUnsafeMutableBufferPointer { unsafe body(count, $0.baseAddress) }
  guard status == 0 else { throw .system(what, Errno(rawValue: -status)) }
  return samples.map { Double($0) }
}
