import Testing
import XIVETestSupport

/// A controller whose TIMAs can be accessed.
protocol TIMAPath {
  /// One with a vCPU on a server, connected and otherwise untouched.
  static func connected(_ server: Int) -> Self
  /// Loads in one of a server's views: 0 HW, 1 HV, 2 OS, 3 USER.
  mutating func loadTIMA(_ server: Int, view: Int, at offset: Int, size: Int) -> UInt64
  /// Stores there.
  mutating func storeTIMA(_ value: UInt64, _ server: Int, view: Int, at offset: Int, size: Int)
}

@Suite("Every TIMA access against what was recorded from QEMU")
struct TIMAVectorTests {
  @Test("The file holds every aligned access of every size in every view, in two states")
  func fileIsComplete() throws {
    let vectors = try Vectors.timaAccesses
    #expect(vectors.rows.count == 2 * 2 * 4 * 4)
    var quirks: [Substring: Int] = [:]
    for row in vectors.rows {
      let accesses = try vectors.accesses(row)
      #expect(accesses.map(\.access.offset) == Array(stride(from: 0, to: 0x1000, by: row.size)))
      for quirk in accesses.flatMap(\.result.quirks) { quirks[quirk, default: 0] += 1 }
    }
    // These alone are not compared.
    let known: [Substring: Int] = [
      "!cppr-load": 6, "!cppr-lowered": 2, "!pull-pool-valid": 4, "!user-context": 20,
    ]
    #expect(quirks == known)
  }

  @Test("The second router does as recorded", arguments: try Vectors.timaAccesses.rows.indices)
  func reference(_ number: Int) throws {
    try ReferenceRouter.replayTIMA(number)
  }
}

extension TIMAPath {
  /// Tries every access of one kind, each from the state that it was recorded in.
  static func replayTIMA(_ number: Int) throws {
    let vectors = try Vectors.timaAccesses
    let row = vectors.rows[number]
    let state = try #require(vectors.states.first { $0.name == row.state })
    let before = registers(state.registers)
    var path = Self.connected(vectors.server)
    path.enter(state, vectors.server)
    try #require(path.registers(vectors.server) == before)
    for (access, result) in try vectors.accesses(row) where result.quirks.isEmpty {
      let value = path.perform(access, vectors.server)
      var after = before
      for (offset, byte) in result.changes { after[offset - firstRegister] = byte }
      #expect(value == result.value, "\(access)")
      #expect(path.registers(vectors.server) == after, "\(access)")
      if !result.changes.isEmpty { path.enter(state, vectors.server) }
    }
  }

  private mutating func enter(_ state: TIMAVectors.State, _ server: Int) {
    for setup in state.setup { _ = perform(setup.access, server) }
  }

  private mutating func perform(_ access: TIMAAccess, _ server: Int) -> UInt64? {
    guard access.op == .store else {
      return loadTIMA(server, view: access.view, at: access.offset, size: access.size)
    }
    storeTIMA(access.value, server, view: access.view, at: access.offset, size: access.size)
    return nil
  }

  private mutating func registers(_ server: Int) -> [UInt8] {
    stride(from: firstRegister, to: 0x40, by: 8).flatMap { offset in
      let register = loadTIMA(server, view: 0, at: offset, size: 8)
      return (0..<8).map { UInt8(truncatingIfNeeded: register >> (56 - 8 * $0)) }
    }
  }

  private static func registers(_ digits: String) -> [UInt8] {
    let nibbles = digits.compactMap(\.hexDigitValue)
    return stride(from: 0, to: nibbles.count, by: 2).map { index in
      UInt8(nibbles[index] << 4 | nibbles[index + 1])
    }
  }
}

/// Where the registers begin that loads give: the user's ring cannot be loaded.
private let firstRegister = 0x10

extension ReferenceRouter: TIMAPath {
  static func connected(_ server: Int) -> ReferenceRouter {
    var router = ReferenceRouter(sources: 1, servers: server + 1, memorySize: 0)
    router.connect(server)
    return router
  }

  mutating func loadTIMA(_ server: Int, view: Int, at offset: Int, size: Int) -> UInt64 {
    load(server, view: view, at: offset, size: size) ?? 0
  }

  mutating func storeTIMA(
    _ value: UInt64, _ server: Int, view: Int, at offset: Int, size: Int
  ) {
    store(value, server, view: view, at: offset, size: size)
  }
}
