internal import CBench
internal import SystemPackage
internal import XIVEHarness

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
