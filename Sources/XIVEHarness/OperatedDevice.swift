internal import CHarness
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel
internal import XIVETrace

/// A served device, the descriptor that operates it, what must be true of it, and who watches.
///
/// Every operation goes the same way: the watchers are told what will be right, the device does it, and only when
/// it has answered are they told what is not right any more. Thread rule: belongs to the stage's thread.
final class OperatedDevice {
  let stage: Stage
  let server: DeviceServer
  let shape: ServedShape
  /// The descriptor that operates it, as a VMM's would.
  private(set) var descriptor: XIVEDescriptor
  /// What its trace says of it: as it was when it was served first.
  private(set) var traced: TracedDevice
  /// What must be true.
  var model: PassthroughModel
  /// What watchers look at; nil while nobody watches.
  var board: Board?
  /// All consumer processes, those that do not look at the board as well.
  var consumers: [ConsumerProcess] = []
  private var pastReads: UInt64 = 0
  /// Whether the server is about to die: what is touched afresh may be a SIGBUS from now on.
  private(set) var isDying = false

  init(_ stage: Stage, _ shape: ServedShape, number: Int) throws {
    self.stage = stage
    self.shape = shape
    server = try DeviceServer(stage, shape, number: number)
    descriptor = try XIVEDescriptor(server.path)
    traced = try DeviceTraceSource(server.path).describe(server.path)
    model = PassthroughModel(created: shape.created)
    stage.note("serving \(server.path)")
  }

  /// Layout of its file.
  var map: DeviceMap { descriptor.map }

  /// Signatures that its watchers have read, and answers that they got.
  var reads: UInt64 { pastReads + (board?.reads ?? 0) }

  /// Stores of its watchers.
  var stores: UInt64 { board?.sum(CHARNESS_STORES) ?? 0 }

  // MARK: - Changing backings

  /// Changes backings: announces what comes, does it, and says what must not be seen any more.
  /// - Parameters:
  ///   - lisns: the sources whose backing changes.
  ///   - phb: the PHB that comes or goes; nil when none does.
  ///   - next: what will be true.
  ///   - operation: does it.
  /// - Throws: the device's refusal; then nothing has changed.
  func change(
    _ lisns: [LISN], phb: PHBIndex? = nil, to next: PassthroughModel,
    _ operation: (borrowing XIVEDescriptor) throws(XIVEClientError) -> Void
  ) throws {
    try stage.control.beat()
    let owners = lisns.map { WatchedPage.Owner.source($0) } + watchedPages(of: phb)
    for owner in owners { announce(owner, from: model, to: next) }
    try operate(on: owners + lines(behind: lisns, model) + lines(behind: lisns, next)) {
      try operation(descriptor)
      model = next
    }
    for owner in owners { settle(owner) }
  }

  // MARK: - Ending

  /// Tells the watchers that the server is about to die.
  func expectDeath() {
    isDying = true
    for owner in Set(board?.pages.map(\.owner) ?? []) {
      board?.expect(owner, isThere: nil)
      board?.expect(owner, nil)
    }
  }

  /// Opens the file again, for a server that was started anew.
  func reopen() throws {
    descriptor = try XIVEDescriptor(server.path)
    traced = try DeviceTraceSource(server.path).describe(server.path)
    model = PassthroughModel(created: shape.created)
    isDying = false
  }

  /// Ends the consumers, and looks at what they saw.
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

  /// Ends the consumers and the server; those of a hang are killed.
  func close() throws {
    if let ending = stage.control.ending, ending != .interrupted {
      for consumer in consumers { consumer.kill() }
      return server.kill()
    }
    try closeConsumers()
    try server.stop()
  }
}
