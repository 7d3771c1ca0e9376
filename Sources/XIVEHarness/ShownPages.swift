internal import Synchronization
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// A guest's window, what each of its pages may show, and the first page that showed something else.
///
/// The rule of the board (module `CHarness`) within one process: a reader takes the expectation, the page, and the
/// expectation again; only when that has not changed is the page held against it. Any reader's fault ends the process.
///
/// A trapped window has no signatures: there the state of who serves the page is asked, and sources and interrupts must
/// have states that tell them apart, as ``mark(of:generation:)`` says; the sources are off.
final class ShownPages: Sendable {
  /// What a source's pages may show.
  private enum Expectation: Hashable {
    /// The source's own pages.
    case own
    /// An interrupt's page of a PHB that was plugged so often.
    case device(PassthroughTarget, generation: UInt64)
    /// Either, while it changes.
    case either
    /// Nobody touches it.
    case paused
  }

  /// An expectation, which a count of its changes identifies.
  private struct Stamped: Hashable {
    var expectation = Expectation.own
    var changes = 0
  }

  private let window: GuestWindow
  private let isTrapped: Bool
  private let expectations: Mutex<[LISN: Stamped]>
  private let lisns: [LISN]
  private let rounds: [RoundCounter]
  private let over = Atomic<Bool>(false)
  private let first = Mutex<String?>(nil)

  /// A reader's rounds.
  private final class RoundCounter: Sendable {
    let value = Atomic<Int>(0)
  }

  init(_ window: consuming GuestWindow, isTrapped: Bool, readers: Int) {
    self.isTrapped = isTrapped
    rounds = (0..<readers).map { _ in RoundCounter() }
    let sources = window.sources
    lisns = (sources.lowerBound.rawValue..<sources.upperBound.rawValue).map { LISN(rawValue: $0) }
    self.window = window
    expectations = Mutex(Dictionary(uniqueKeysWithValues: lisns.map { ($0, Stamped()) }))
  }

  /// Whether readers end.
  var isOver: Bool {
    get { over.load(ordering: .relaxed) }
    set { over.store(newValue, ordering: .relaxed) }
  }

  /// Signatures read.
  var reads: Int {
    rounds.reduce(0) { $0 + $1.value.load(ordering: .relaxed) } * lisns.count
      * ESBHalf.allCases.count
  }

  /// The first page that showed what it must not.
  var mistake: String? { first.withLock { $0 } }

  // MARK: - Readers

  /// Reads all pages once.
  func readAll(_ reader: Int) {
    for lisn in lisns {
      for half in ESBHalf.allCases { read(lisn, half) }
    }
    rounds[reader].value.add(1, ordering: .releasing)
  }

  private func read(_ lisn: LISN, _ half: ESBHalf) {
    let before = stamped(lisn)
    if before.expectation == .paused { return }
    if isTrapped { return ask(lisn, before) }
    let signature = window.signature(of: lisn, half)
    guard before == stamped(lisn), !Self.isRight(signature, lisn, half, before.expectation) else {
      return
    }
    let text = signature.map { "\($0)" } ?? "no signature"
    first.withLock {
      $0 = $0 ?? "LISN \(lisn) \(half.name) must show \(before.expectation): \(text)"
    }
  }

  private func ask(_ lisn: LISN, _ before: Stamped) {
    let pq = window.load(at: window.offset(of: lisn, .management) + 0x800)
    guard before == stamped(lisn), !Self.isRight(pq, before.expectation) else { return }
    first.withLock {
      $0 =
        $0 ?? "LISN \(lisn), trapped, must be \(before.expectation): PQ \(String(pq, radix: 2))"
    }
  }

  private static func isRight(_ pq: UInt64, _ expectation: Expectation) -> Bool {
    switch expectation {
    case .own: pq == 0b01
    // A message makes it pending, or queued where it is.
    case .device(let target, let generation):
      mark(of: target.phb, generation: generation) == .queued ? pq == 0b11 : pq & 0b01 == 0
    case .either: pq <= 0b11
    case .paused: true
    }
  }

  /// The state of a PHB's interrupts by which trapped windows know them: other than that of those beside it and of those
  /// that were there before.
  static func mark(of phb: PHBIndex, generation: UInt64) -> PQ {
    (UInt64(phb.rawValue) + generation) % 2 == 0 ? .queued : .reset
  }

  private func stamped(_ lisn: LISN) -> Stamped {
    expectations.withLock { $0[lisn] ?? Stamped(expectation: .paused) }
  }

  private static func isRight(
    _ signature: PageSignature?, _ lisn: LISN, _ half: ESBHalf, _ expectation: Expectation
  ) -> Bool {
    guard let signature else { return false }
    let isOwn =
      signature.backing == .ipi && signature.lisn == lisn.rawValue
      && signature.half == half.rawValue
    switch expectation {
    case .own: return isOwn
    case .device(let target, let generation):
      return signature.backing == .phb && signature.lisn == PageSignature.noSource
        && signature.phb == UInt32(target.phb.rawValue)
        && signature.hardwareIRQ == UInt32(target.irq.rawValue)
        && signature.generation == generation
    case .either: return isOwn || signature.backing == .phb
    case .paused: return true
    }
  }

  // MARK: - Changes

  private func expect(_ expectation: Expectation, _ lisn: LISN) {
    expectations.withLock { all in
      all[lisn, default: Stamped()].expectation = expectation
      all[lisn]?.changes += 1
    }
  }

  func plug(_ run: PassthroughRun, generation: UInt64) throws(XIVEClientError) {
    try change(run) { () throws(XIVEClientError) in try window.plug(run) }
    for (lisn, target) in run.pairs { expect(.device(target, generation: generation), lisn) }
  }

  func unplug(_ run: PassthroughRun) throws(XIVEClientError) {
    try change(run) { () throws(XIVEClientError) in try window.unplug(run) }
    for lisn in run.lisns { expect(.own, lisn) }
  }

  /// Does something during which pages may show either; when it is refused they must show what they did.
  private func change(_ run: PassthroughRun, _ body: () throws(XIVEClientError) -> Void)
    throws(XIVEClientError)
  {
    let before = run.lisns.map { ($0, stamped($0).expectation) }
    for (lisn, old) in before where old != .paused { expect(.either, lisn) }
    do { try body() } catch {
      for (lisn, old) in before { expect(old, lisn) }
      throw error
    }
  }

  /// Has nobody touch sources' pages any more; returns when nobody does.
  func pause(_ lisns: [LISN]) {
    for lisn in lisns { expect(.paused, lisn) }
    settle()
  }

  /// Touches a source's page that must be a hole.
  /// - Returns: what is wrong with it; nil for a hole.
  func probe(_ lisn: LISN) -> String? {
    if isTrapped {
      let pq = window.load(at: window.offset(of: lisn, .management) + 0x800)
      return pq == .max ? nil : "LISN \(lisn), trapped: PQ \(String(pq, radix: 2))"
    }
    return switch window.probe(at: window.offset(of: lisn, .management) + PageSignature.offset) {
    case .value(let value): "LISN \(lisn): a page that begins its signature with \(value)"
    case .fault(let signal, _): signal == 7 ? nil : "LISN \(lisn): signal \(signal)"
    }
  }

  /// Waits until every reader has begun and ended a round.
  func settle() {
    let starts = rounds.map { $0.value.load(ordering: .acquiring) }
    for (counter, start) in zip(rounds, starts) {
      // The round that is under way may have begun before.
      while counter.value.load(ordering: .acquiring) < start + 2, !isOver {
        MonotonicClock.sleep(nanoseconds: 100_000)
      }
    }
  }
}
