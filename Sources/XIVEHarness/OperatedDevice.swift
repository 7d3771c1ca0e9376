internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// A served device, the descriptor that operates it, what must be true of it, and who watches.
///
/// Every operation goes the same way: the watchers are told what will be right, the device does it, and only when
/// it has answered are they told what is not right any more. Thread rule: belongs to the stage's thread.
final class OperatedDevice {
  let stage: Stage
  let server: DeviceServer
  let shape: ServedShape
  /// The descriptor that operates it: the same process that a VMM's would be.
  private(set) var descriptor: XIVEDescriptor
  /// What must be true.
  var model: PassthroughModel
  /// What watchers look at; nil while nobody watches.
  private(set) var board: Board?
  private(set) var consumers: [ConsumerProcess] = []
  private var pastReads: UInt64 = 0

  init(_ stage: Stage, _ shape: ServedShape, number: Int) throws {
    self.stage = stage
    self.shape = shape
    server = try DeviceServer(stage, shape, number: number)
    descriptor = try XIVEDescriptor(server.path)
    model = PassthroughModel(created: shape.created)
    stage.note("serving \(server.path)")
  }

  /// Layout of its file.
  var map: DeviceMap { descriptor.map }

  /// Signatures that its watchers have read.
  var reads: UInt64 { pastReads + (board?.reads ?? 0) }

  // MARK: - Watchers

  /// Has consumer processes watch pages, from now on and until the end.
  /// - Parameters:
  ///   - pages: what they read in turns.
  ///   - plan: how; one process each of `count`.
  ///   - count: how many processes; as many as the options say unless told otherwise.
  ///   - storing: whether they may store where it has no effect.
  /// - Throws: what keeps them from starting, and what they see.
  func watch(
    _ pages: [WatchedPage], _ plan: ConsumerPlan? = nil, count: Int? = nil, storing: Bool = false
  ) throws {
    let board = try Board("\(server.path).board", pages)
    self.board = board
    if storing { try board.allowStores() }
    for page in Set(pages.map(\.owner)) { tell(page, board) }
    for _ in 0..<(count ?? stage.options.consumers) { _ = try addConsumer(plan) }
    board.run()
    try board.settle()
  }

  /// Starts one more consumer of the pages that are watched already.
  @discardableResult
  func addConsumer(_ plan: ConsumerPlan? = nil) throws -> ConsumerProcess {
    guard let board else { throw HarnessFailure.system("a consumer", "nothing is watched") }
    var plan = plan ?? ConsumerPlan()
    if plan.threads == 0 { plan.threads = stage.options.threads }
    let consumer = try ConsumerProcess(stage.options.consumerProgram, server.path, board, plan)
    consumers.append(consumer)
    stage.note("consumer \(consumer.slots) watches \(board.pages.count) pages")
    return consumer
  }

  /// Starts consumers that map devices over their windows themselves, every other one over the kernel's.
  func addOvermappers(sources: UInt32) throws -> [ConsumerProcess] {
    let new = try (0..<stage.options.consumers).map { number in
      try ConsumerProcess(
        stage.options.consumerProgram,
        [
          "overmap", server.path, "--sources", "\(sources)", "--threads",
          "\(stage.options.threads)",
        ]
          + (number % 2 == 1 ? ["--kernel-window"] : []))
    }
    consumers += new
    return new
  }

  /// Has a consumer fork a copy of itself, which watches as well.
  func fork(_ consumer: ConsumerProcess) throws {
    guard let slot = board?.takeSlots(1) else { return }
    try consumer.tell("fork \(slot)")
  }

  /// Tells the watchers what is right now.
  private func tell(_ owner: WatchedPage.Owner, _ board: Board) {
    switch owner {
    case .source(let lisn):
      guard let source = model.sources[lisn] else { return board.expect(owner, isThere: false) }
      board.announce(owner, identity(of: source))
      board.raise(owner, to: source.generation)
      board.expect(owner, isThere: true)
      tellTriggerPage(lisn, isThere: hasTriggerPage(source))
    case .phb(let phb, let irq):
      guard let plugged = model.phbs[phb], UInt64(irq.rawValue) < plugged.shape.irqCount else {
        return board.expect(owner, isThere: false)
      }
      let generation = model.plugs[phb] ?? 0
      let identity = Board.Identity(
        generation: generation, backing: .phb, phb: phb.rawValue, irq: irq.rawValue)
      board.announce(owner, identity)
      board.raise(owner, to: generation)
      board.expect(owner, isThere: true)
    }
  }

  /// Lets a killed consumer go.
  func forget(_ consumer: ConsumerProcess) {
    board?.end(slots: consumer.slots)
    consumers.removeAll { $0 === consumer }
  }

  // MARK: - Announcing

  private func identity(of source: PassthroughModel.Source) -> Board.Identity {
    guard let server = source.server else {
      return Board.Identity(generation: source.generation, backing: .ipi)
    }
    return Board.Identity(
      generation: source.generation, backing: .phb, phb: server.phb.rawValue,
      irq: server.irq.rawValue)
  }

  /// A mapped level interrupt has a management page alone.
  private func hasTriggerPage(_ source: PassthroughModel.Source) -> Bool {
    guard shape.pagesPerSource == 2 else { return false }
    return !(source.server.map { model.isLevel($0) } ?? false)
  }

  private func tellTriggerPage(_ lisn: LISN, isThere: Bool?) {
    if isThere != true { board?.expect(.source(lisn), .trigger, isThere: isThere) }
  }

  /// Changes backings: announces what comes, does it, and says what must not be seen any more.
  func change(
    _ lisns: [LISN], phb: PHBIndex? = nil, to next: PassthroughModel,
    _ operation: (borrowing XIVEDescriptor) throws(XIVEClientError) -> Void
  ) throws {
    try stage.control.beat()
    let now = model
    let own = ownPages(of: phb)
    for lisn in lisns {
      guard let source = next.sources[lisn] else { continue }
      board?.announce(.source(lisn), identity(of: source))
      if now.hasLevel(lisn) || next.hasLevel(lisn) {
        board?.expect(.source(lisn), .trigger, isThere: nil)
      }
    }
    model = next
    for owner in own {
      board?.expect(owner, isThere: nil)
      announce(owner)
    }
    do { try operation(descriptor) } catch {
      model = now
      throw error
    }
    for lisn in lisns {
      guard let source = next.sources[lisn] else { continue }
      board?.raise(.source(lisn), to: source.generation)
      if now.hasLevel(lisn) || next.hasLevel(lisn) {
        board?.expect(.source(lisn), .trigger, isThere: hasTriggerPage(source))
      }
    }
    if let board { for owner in own { tell(owner, board) } }
  }

  private func ownPages(of phb: PHBIndex?) -> [WatchedPage.Owner] {
    guard let phb, let board else { return [] }
    return board.pages.map(\.owner).filter {
      if case .phb(phb, _) = $0 { true } else { false }
    }
  }

  private func announce(_ owner: WatchedPage.Owner) {
    guard case .phb(let phb, let irq) = owner, model.phbs[phb] != nil else { return }
    board?.announce(
      owner,
      Board.Identity(
        generation: model.plugs[phb] ?? 0, backing: .phb, phb: phb.rawValue, irq: irq.rawValue))
  }

  // MARK: - Ending

  /// Tells the watchers that the server is about to die: what they touch afresh may be a SIGBUS from now on.
  func expectDeath() {
    for owner in Set(board?.pages.map(\.owner) ?? []) { board?.expect(owner, isThere: nil) }
  }

  /// Opens the file again, for a server that was started anew.
  func reopen() throws {
    descriptor = try XIVEDescriptor(server.path)
    model = PassthroughModel(created: shape.created)
  }

  /// Ends the watchers, and looks at what they saw.
  func closeConsumers() throws {
    defer {
      pastReads = reads
      consumers = []
      board = nil
    }
    board?.stop()
    for consumer in consumers {
      try consumer.close()
      pastReads += consumer.reads
    }
    try board?.look()
  }

  /// Ends the watchers and the server; those of a hang are killed.
  func close() throws {
    if let ending = stage.control.ending, ending != .interrupted {
      for consumer in consumers { consumer.kill() }
      return server.kill()
    }
    try closeConsumers()
    try server.stop()
  }
}

extension PassthroughModel {
  /// Whether a level interrupt serves a source.
  func hasLevel(_ lisn: LISN) -> Bool { sources[lisn]?.server.map { isLevel($0) } ?? false }
}
