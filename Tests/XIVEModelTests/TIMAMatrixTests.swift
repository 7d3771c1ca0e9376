import Testing
import XIVEModel
import XIVETestSupport

@Suite("Every access to a TIMA, against the second router")
struct TIMAMatrixTests {
  @Test(
    "Every offset, size and view, loads and stores, from several states",
    arguments: TIMAState.allCases, 0..<4)
  func matrix(_ state: TIMAState, view: Int) throws {
    var pair = TIMAPair(state)
    for size in [1, 2, 4, 8] {
      for offset in stride(from: 0, to: 0x1000, by: size) {
        try pair.load(view: view, at: offset, size: size)
        for value in [0x8000_0402_8000_0401, 0xa5c3_9681_0f1e_2d03] as [UInt64] {
          try pair.store(value, view: view, at: offset, size: size)
        }
      }
    }
  }

  @Test("A load that changes something says so, and only such a load")
  func effects() {
    let effects = [0x800, 0x808, 0x810, 0x818, 0x828, 0x830] as [UInt64]
    var found: Set<UInt64> = []
    for view in TIMAView.allCases {
      for size in [1, 2, 4, 8] {
        for offset in stride(from: UInt64(0), to: 0x1000, by: size) {
          let operation = TIMAOperation.load(at: offset, byteCount: size, view: view)
          if operation?.hasEffect == true { found.insert(offset) }
          if offset < 0x800 { #expect(operation?.hasEffect != true) }
        }
      }
    }
    #expect(found.sorted() == effects)
  }
}

/// What a TIMA holds before it is accessed.
enum TIMAState: CaseIterable {
  /// What a connection leaves.
  case reset
  /// An OS interrupt to take, and one more pending.
  case pending
  /// All contexts are valid, and each ring but the user's has an interrupt.
  case full
  /// The OS context is pulled, and events wait for it.
  case pulled
  /// Bytes that no operation leaves.
  case overwritten
}

/// The model and the reference with one vCPU in a known state, and others beside it.
private struct TIMAPair {
  private let state: TIMAState
  private let model = RoutedController(sources: 4, servers: 3, memorySize: 0x1000)
  private var reference = ReferenceRouter(sources: 4, servers: 3, memorySize: 0x1000)
  private var prepared: [ReferenceVCPU] = []

  init(_ state: TIMAState) {
    self.state = state
    let targets = [(0x400, 4), (0x400, 6), (0x401, 5), (0x80, 3)] as [(UInt32, UInt32)]
    for (source, (target, priority)) in targets.enumerated() {
      var end = ReferenceEND("vnb")
      end.target = target
      end.priority = priority
      model.setEND(source, end.words)
      reference.setEND(source, end.words)
      let eas: [UInt32] = [0x8000_0000 | UInt32(source), 0]
      model.setEAS(source, eas)
      reference.setEAS(source, eas)
    }
    prepare()
  }

  /// Brings all registers back.
  private mutating func prepare() {
    for server in 0..<3 {
      model.disconnect(server)
      model.connect(server)
      reference.disconnect(server)
      reference.connect(server)
    }
    switch state {
    case .reset: break
    case .pending:
      put(0xff, at: 0x11, size: 1)
      trigger(0)
      trigger(1)
    case .full:
      put(0xff, at: 0x11, size: 1)
      put(0xff, at: 0x31, size: 1)
      put(0x80, at: 0x38, size: 1)
      // The pool takes the other vCPU's events, which does not run.
      _ = get(1, at: 0x818, size: 4)
      put(0x8000_0401, at: 0x28, size: 4)
      put(0x8000_0777, at: 0x808, size: 4)
      for source in 0..<4 { trigger(source) }
    case .pulled:
      _ = get(0, at: 0x818, size: 4)
      trigger(0)
      trigger(1)
    case .overwritten:
      trigger(1)
      put(0xf1f2_f3f4_f5f6_f7f8, at: 0x10, size: 8)
      put(0x2122_2324_2526_2728, at: 0x20, size: 8)
      put(0xe1e2_e3e4_e5e6_e7e8, at: 0x30, size: 8)
      put(0x0152_5354_5556_5758, at: 0x38, size: 8)
    }
    prepared = reference.vcpus
  }

  private mutating func trigger(_ source: Int) {
    for (access, page) in [(.load, .management), (.store, .trigger)]
      as [(VectorAccess, VectorPage)]
    {
      model.perform(access, source: source, page, at: 0xc00)
      reference.perform(access, source: source, page, at: 0xc00)
    }
  }

  private mutating func put(_ value: UInt64, at offset: Int, size: Int) {
    model.store(value, 0, view: 0, at: offset, size: size)
    reference.store(value, 0, view: 0, at: offset, size: size)
  }

  private mutating func get(_ server: Int, at offset: Int, size: Int) -> UInt64? {
    _ = model.load(server, view: 0, at: offset, size: size)
    return reference.load(server, view: 0, at: offset, size: size)
  }

  mutating func load(view: Int, at offset: Int, size: Int) throws {
    let value = model.load(0, view: view, at: offset, size: size)
    let expected = reference.load(0, view: view, at: offset, size: size)
    try compare("load of \(size) at \(offset), view \(view)", value == expected)
  }

  mutating func store(_ value: UInt64, view: Int, at offset: Int, size: Int) throws {
    let part = value & UInt64.max >> UInt64(64 - 8 * size)
    model.store(part, 0, view: view, at: offset, size: size)
    reference.store(part, 0, view: view, at: offset, size: size)
    try compare("store of \(part), \(size) at \(offset), view \(view)", true)
  }

  private mutating func compare(_ access: String, _ isSameValue: Bool) throws {
    try #require(isSameValue, "\(access), \(state): the value")
    try #require(model.tima(0).bytes == reference.vcpus[0].registers, "\(access), \(state)")
    try #require(model.observer.record.errors == reference.errors, "\(access), \(state)")
    for target in [0x80, 0x400, 0x401] {
      let isSame = model.backlog(target) == reference.backlog(target)
      try #require(isSame, "\(access), \(state): backlog of \(target)")
    }
    if reference.vcpus != prepared { prepare() }
  }
}
