import Testing
import XIVEModel
import XIVETestSupport

@Suite("The router against the second one, at random")
struct RouterDifferentialTests {
  @Test(
    "Every register, table, queue and count is the same after each step",
    arguments: [false, true], [0, 1] as [UInt64])
  func programs(storesAnything: Bool, stream: UInt64) throws {
    let generator = Seed.generator(stream: 16 + stream * 2 + (storesAnything ? 1 : 0))
    var actions = RoutedActions(storesAnything: storesAnything, generator)
    var pair = ControllerPair()
    var step = 0
    // A program that reaches nothing proves nothing; some outcomes are rare, so that one may have to go on.
    while step < 6_000 || pair.reached != pair.reachable && step < 100_000 {
      let action = actions.next()
      if let difference = pair.perform(action) {
        Issue.record("step \(step), \(action): \(difference). \(Seed.comment)")
        return
      }
      step += 1
    }
    #expect(pair.hasSameMemory, "\(Seed.comment)")
    #expect(pair.reached == pair.reachable, "\(Seed.comment)")
  }
}

/// The model and the reference, kept in step.
struct ControllerPair {
  private let model: RoutedController
  private var reference: ReferenceRouter
  private var writes = 0

  init() {
    model = RoutedController(
      sources: RoutedActions.sources, servers: RoutedActions.servers,
      memorySize: RoutedActions.memorySize)
    reference = ReferenceRouter(
      sources: RoutedActions.sources, servers: RoutedActions.servers,
      memorySize: RoutedActions.memorySize)
  }

  /// Does the same to both.
  /// - Returns: what is not the same afterwards; nil for nothing.
  mutating func perform(_ action: RoutedAction) -> String? {
    let wasUp = reference.vcpus.map(\.isLineUp)
    let (value, expected) = performOnBoth(action)
    if value != expected { return "\(text(value)), not \(text(expected))" }
    return differenceOfThreads(wasUp) ?? differenceOfTables() ?? differenceOfCounts()
  }

  private mutating func performOnBoth(_ action: RoutedAction) -> (UInt64?, UInt64?) {
    switch action {
    case .source(let access, let source, let page, let offset):
      return (
        model.perform(access, source: source, page, at: offset),
        reference.perform(access, source: source, page, at: offset)
      )
    case .end(let access, let end, let isEscalation, let offset):
      return (
        model.perform(access, end: end, isEscalation: isEscalation, at: offset),
        reference.perform(access, end: end, isEscalation: isEscalation, at: offset)
      )
    case .load(let server, let view, let offset, let size):
      return (
        model.load(server, view: view, at: offset, size: size),
        reference.load(server, view: view, at: offset, size: size)
      )
    case .store(let value, let server, let view, let offset, let size):
      model.store(value, server, view: view, at: offset, size: size)
      reference.store(value, server, view: view, at: offset, size: size)
    case .setEAS(let source, let words):
      model.setEAS(source, words)
      reference.setEAS(source, words)
    case .setEND(let end, let words):
      model.setEND(end, words)
      reference.setEND(end, words)
    case .connect(let server):
      model.connect(server)
      reference.connect(server)
    case .disconnect(let server):
      model.disconnect(server)
      reference.disconnect(server)
    }
    return (nil, nil)
  }

  // MARK: - Comparing

  private func differenceOfThreads(_ wasUp: [Bool]) -> String? {
    let raised = model.observer.takeRaised()
    let told = model.observer.record.rings
    for (server, vcpu) in reference.vcpus.enumerated() {
      let tima = model.tima(server)
      if tima.bytes != vcpu.registers {
        return "server \(server) has \(text(tima.bytes)), not \(text(vcpu.registers))"
      }
      if tima.isLineUp != vcpu.isLineUp { return "the line of server \(server)" }
      let isToldOf = raised.contains(Server(server))
      if vcpu.isLineUp, !wasUp[server], !isToldOf { return "server \(server) was not woken" }
      if isToldOf, !vcpu.isLineUp { return "server \(server) was woken for nothing" }
      let ring = told[Server(server)] ?? 0x0000_00ff_ff00_00ff
      var copy = reference
      if ring != copy.load(server, view: 2, at: 0x10, size: 8) {
        return "the ring of server \(server) was told as \(text(ring))"
      }
    }
    return nil
  }

  private mutating func differenceOfTables() -> String? {
    let told = model.observer.record.ends
    for index in 0..<RoutedActions.ends {
      let words = reference.end(index)
      if model.end(index) != words { return "END \(index): \(model.end(index)), not \(words)" }
      let states = words[0] >> 31 == 1 ? words[1] >> 28 : nil
      let toldOf = (told[ENDIndex(rawValue: UInt32(index))] ?? nil).map {
        UInt32($0.notification.rawValue) << 2 | UInt32($0.escalation.rawValue)
      }
      if toldOf != states { return "END \(index) was told as \(text(toldOf))" }
    }
    for target in Array(0x80..<0x84) + Array(0x400..<0x404) {
      if model.backlog(target) != reference.backlog(target) { return "backlog of \(target)" }
    }
    for source in 0..<RoutedActions.sources {
      if model.pq(of: source) != reference.sources.sources[source].pq { return "PQ of \(source)" }
    }
    defer { writes = reference.writes.count }
    for position in reference.writes[writes...] {
      let entry = model.word(at: position)
      let expected = ReferenceFields.word(reference.memory, at: position)
      if entry != expected {
        return "the entry at \(position): \(text(entry)), not \(text(expected))"
      }
    }
    return nil
  }

  private func differenceOfCounts() -> String? {
    let errors = model.observer.record.errors
    if errors != reference.errors { return "errors \(errors), not \(reference.errors)" }
    let outcomes = ReferenceOutcome.all(of: model.router.counts)
    if outcomes != reference.outcomes { return "counts \(outcomes), not \(reference.outcomes)" }
    return nil
  }

  /// Whether guest memory is the same throughout.
  var hasSameMemory: Bool {
    reference.memory.indices.allSatisfy {
      unsafe model.memory.unsafeBuffer[$0] == reference.memory[$0]
    }
  }

  /// The kinds of guest errors and outcomes that there were.
  var reached: Set<String> {
    Set(reference.errors.keys.map(\.rawValue) + reference.outcomes.keys.map(\.rawValue))
  }

  /// All kinds that the model itself knows.
  var reachable: Set<String> {
    var errors = Set(ReferenceGuestError.allCases)
    errors.remove(.esbOperation)
    return Set(errors.map(\.rawValue) + ReferenceOutcome.allCases.map(\.rawValue))
  }

  private func text(_ value: (some BinaryInteger)?) -> String {
    value.map { String($0, radix: 16) } ?? "nothing"
  }

  private func text(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
