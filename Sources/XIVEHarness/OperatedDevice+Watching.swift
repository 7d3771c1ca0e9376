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
    for owner in Set(pages.map(\.owner)) {
      announce(owner, from: model, to: model)
      settle(owner)
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
      return try ConsumerProcess(stage.options.consumerProgram, words + threads + window)
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

  // MARK: - Telling

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
