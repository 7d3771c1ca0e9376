internal import XIVEClient
internal import XIVEModel

extension OperatedDevice {
  // MARK: - Consumers

  /// Has consumer processes watch pages, from now on and until the end.
  /// - Parameters:
  ///   - pages: what they read in turns.
  ///   - plan: how.
  ///   - count: how many processes; as many as the options say unless told otherwise.
  ///   - storing: whether they may store where it has no effect.
  /// - Throws: what keeps them from starting.
  func watch(
    _ pages: [WatchedPage], _ plan: ConsumerPlan = ConsumerPlan(), count: Int? = nil,
    storing: Bool = false
  ) throws {
    let board = try Board("\(server.path).board", pages)
    self.board = board
    if storing { try board.allowStores() }
    if plan.triggers { try board.allowTriggers() }
    for owner in Set(pages.map(\.owner)) {
      announce(owner, from: model, to: model)
      settle(owner)
      board.expect(owner, model.answer(of: owner))
    }
    for _ in 0..<(count ?? stage.options.consumers) { try addConsumer(plan) }
    board.run()
    try board.settle()
  }

  /// Starts one more consumer of the pages that are watched already.
  @discardableResult
  func addConsumer(_ plan: ConsumerPlan = ConsumerPlan()) throws -> ConsumerProcess {
    guard let board else { throw HarnessFailure.system("a consumer", "nothing is watched") }
    var plan = plan
    if plan.threads == 0 { plan.threads = stage.options.threads }
    if plan.guestTriggers == nil, !plan.triggers { plan.access = stage.options.access }
    let consumer = try ConsumerProcess(stage.options.consumerProgram, server.path, board, plan)
    consumers.append(consumer)
    stage.note("consumer \(consumer.slots) watches \(board.pages.count) pages")
    return consumer
  }

  /// Starts consumers that map devices over their windows themselves, every other one over the kernel's.
  func addOvermappers(sources: UInt32) throws -> [ConsumerProcess] {
    let words = ["overmap", server.path, "--sources", "\(sources)"]
    let threads = ["--threads", "\(stage.options.threads)"]
    let new = try (0..<stage.options.consumers).map { number in
      let window = number % 2 == 1 ? ["--kernel-window"] : []
      let access = stage.options.access.isTrapped(number) ? ["--trapped"] : []
      return try ConsumerProcess(stage.options.consumerProgram, words + threads + window + access)
    }
    consumers += new
    return new
  }

  /// Has a consumer fork a copy of itself, which watches as well.
  func fork(_ consumer: ConsumerProcess) throws {
    guard let slots = try board?.takeSlots(1) else { return }
    try consumer.tell("fork \(slots.lowerBound)")
  }

  /// Lets a killed consumer go.
  func forget(_ consumer: ConsumerProcess) {
    board?.release(consumer.slots)
    consumers.removeAll { $0 === consumer }
  }

  /// Whether anybody asks for states through a trapped window.
  var isTrapped: Bool {
    stage.options.access != .mapped
      && board?.pages.contains { $0.half == .management } ?? false
  }

  // MARK: - Telling

  /// Does something to sources or interrupts that changes their states, and then says what they are.
  func operate(on owners: [WatchedPage.Owner], _ operation: () throws -> Void) throws {
    for owner in owners { board?.expect(owner, nil) }
    // Also after a refusal, which has changed nothing.
    defer {
      for owner in owners where !isDying { board?.expect(owner, model.answer(of: owner)) }
    }
    try operation()
  }

  /// A source and the interrupt that serves it.
  func owners(of lisn: LISN) -> [WatchedPage.Owner] {
    [.source(lisn)] + lines(behind: [lisn], model)
  }

  /// An interrupt and the source that it serves.
  func owners(of target: PassthroughTarget) -> [WatchedPage.Owner] {
    let source = model.line(target)?.source
    return [.phb(target.phb, target.irq)] + (source.map { [.source($0)] } ?? [])
  }

  /// The own pages of the interrupts that serve sources.
  func lines(behind lisns: [LISN], _ model: PassthroughModel) -> [WatchedPage.Owner] {
    lisns.compactMap { model.sources[$0]?.server }.map { .phb($0.phb, $0.irq) }
  }

  /// The watched pages of a PHB's own.
  func watchedPages(of phb: PHBIndex?) -> [WatchedPage.Owner] {
    guard let phb, let board else { return [] }
    return board.pages.map(\.owner).filter {
      if case .phb(phb, _) = $0 { true } else { false }
    }
  }

  /// Says what an owner's pages will look like, and which may come or go meanwhile.
  func announce(
    _ owner: WatchedPage.Owner, from now: PassthroughModel, to next: PassthroughModel
  ) {
    if let identity = next.identity(of: owner) { board?.announce(owner, identity) }
    for half in ESBHalf.allCases
    where !(now.shows(half, of: owner) && next.shows(half, of: owner)) {
      board?.expect(owner, half, isThere: nil)
    }
  }

  /// Says what must not be seen any more of an owner's pages.
  func settle(_ owner: WatchedPage.Owner) {
    if let identity = model.identity(of: owner) { board?.raise(owner, to: identity.generation) }
    for half in ESBHalf.allCases where !isDying {
      board?.expect(owner, half, isThere: model.shows(half, of: owner))
    }
  }
}

extension PassthroughModel {
  /// What an owner's pages look like; nil when it has none.
  fileprivate func identity(of owner: WatchedPage.Owner) -> Board.Identity? {
    switch owner {
    case .source(let lisn):
      guard let source = sources[lisn] else { return nil }
      guard let server = source.server else {
        return Board.Identity(generation: source.generation, backing: .ipi)
      }
      return Board.Identity(
        generation: source.generation, backing: .phb, phb: server.phb.rawValue,
        irq: server.irq.rawValue)
    case .phb(let phb, let irq):
      guard shows(.management, of: owner) else { return nil }
      return Board.Identity(
        generation: plugs[phb] ?? 0, backing: .phb, phb: phb.rawValue, irq: irq.rawValue)
    }
  }

  /// What a load of PQ in an owner's management page answers.
  fileprivate func answer(of owner: WatchedPage.Owner) -> Board.Answer {
    let pq: PQ? =
      switch owner {
      case .source(let lisn): pq(of: lisn)
      case .phb(let phb, let irq):
        shows(.management, of: owner) && !isFenced(phb)
          ? line(PassthroughTarget(phb, irq))?.pq : nil
      }
    return pq.map { .state($0) } ?? .nobody
  }

  /// Whether a touch of an owner's page finds one: a mapped level interrupt has no trigger page.
  fileprivate func shows(_ half: ESBHalf, of owner: WatchedPage.Owner) -> Bool {
    switch owner {
    case .source(let lisn):
      guard let source = sources[lisn] else { return false }
      return half == .management || !(source.server.map { isLevel($0) } ?? false)
    case .phb(let phb, let irq):
      return half == .management && UInt64(irq.rawValue) < phbs[phb]?.shape.irqCount ?? 0
    }
  }
}
