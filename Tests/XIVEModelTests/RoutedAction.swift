import XIVETestSupport

/// One thing that a guest, its devices or its hypervisor do to a controller.
enum RoutedAction: CustomStringConvertible {
  case source(VectorAccess, Int, VectorPage, UInt64)
  case end(VectorAccess, Int, isEscalation: Bool, UInt64)
  case load(Int, view: Int, offset: Int, size: Int)
  case store(UInt64, Int, view: Int, offset: Int, size: Int)
  case setEAS(Int, [UInt32])
  case setEND(Int, [UInt32])
  case connect(Int)
  case disconnect(Int)

  var description: String {
    func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
    return switch self {
    case .source(let access, let source, let page, let offset):
      "\(access) \(page) \(source)+\(hex(offset))"
    case .end(let access, let end, let isEscalation, let offset):
      "\(access) \(isEscalation ? "ESe" : "ESn") \(end)+\(hex(offset))"
    case .load(let server, let view, let offset, let size):
      "load of \(size) at \(hex(offset)), server \(server), view \(view)"
    case .store(let value, let server, let view, let offset, let size):
      "store of \(hex(value)), \(size) at \(hex(offset)), server \(server), view \(view)"
    case .setEAS(let source, let words): "EAS \(source) = \(words.map(hex))"
    case .setEND(let end, let words): "END \(end) = \(words.map(hex))"
    case .connect(let server): "connect \(server)"
    case .disconnect(let server): "disconnect \(server)"
    }
  }
}

/// Draws random actions on sixteen sources, four servers and their ENDs; each END has 8 KiB for its queue.
struct RoutedActions {
  static let sources = 16
  static let servers = 4
  static let ends = servers * 8
  static let memorySize = ends * 8192

  /// Whether registers are overwritten with bytes that no operation puts there.
  let storesAnything: Bool
  var random: SplitMix64
  private var connected: Set<Int> = []

  init(storesAnything: Bool, _ random: SplitMix64) {
    self.storesAnything = storesAnything
    self.random = random
  }

  /// The next action.
  mutating func next() -> RoutedAction {
    switch number(100) {
    case 0..<45: return sourceAccess()
    case 45..<54: return endAccess()
    case 54..<86: return timaAccess()
    case 86..<91: return .setEAS(number(Self.sources), eas())
    case 91..<98: return setEND()
    default: return connectOrDisconnect()
    }
  }

  private mutating func connectOrDisconnect() -> RoutedAction {
    let server = number(Self.servers)
    if connected.insert(server).inserted { return .connect(server) }
    if connected.count < Self.servers, !chance(3) { return connectOrDisconnect() }
    connected.remove(server)
    return .disconnect(server)
  }

  private mutating func number(_ limit: Int) -> Int { .random(in: 0..<limit, using: &random) }

  private mutating func chance(_ one: Int) -> Bool { number(one) == 0 }

  private mutating func pick<T>(_ choices: [T]) -> T { choices[number(choices.count)] }

  private mutating func word() -> UInt32 { .random(in: 0...UInt32.max, using: &random) }

  // MARK: - ESB pages

  private mutating func sourceAccess() -> RoutedAction {
    let source = number(Self.sources)
    switch number(4) {
    case 0, 1: return .source(.store, source, .trigger, UInt64(number(512) * 8))
    case 2: return .source(.load, source, .management, pick([0, 0xc00]))
    default:
      return .source(pick([.load, .store]), source, .management, UInt64(number(512) * 8))
    }
  }

  private mutating func endAccess() -> RoutedAction {
    let access: VectorAccess = chance(10) ? .store : .load
    let offset = chance(2) ? UInt64(number(512) * 8) : pick([0, 0, 0xf00])
    return .end(access, number(Self.ends), isEscalation: chance(2), offset)
  }

  // MARK: - TIMA

  private mutating func timaAccess() -> RoutedAction {
    // Nobody reaches the TIMA of a vCPU that is not connected.
    guard !connected.isEmpty else { return connectOrDisconnect() }
    let server = pick(connected.sorted())
    let view = pick([0, 1, 1, 2, 2, 2, 3])
    if chance(16) { return .store(UInt64(context()), server, view: 0, offset: 0x28, size: 4) }
    if !chance(3) { return special(server, view: view) }
    if !storesAnything { return anyAccess(.load, server, view: view) }
    return anyAccess(pick([.load, .store]), server, view: view)
  }

  private mutating func special(_ server: Int, view: Int) -> RoutedAction {
    let row = pick(ReferenceTIMATable.rows)
    if row.access == .load {
      return .load(server, view: view, offset: row.offset, size: row.size)
    }
    let value: UInt64 =
      switch row.operation {
      case .pushOS, .pushUser: UInt64(context())
      case .setThread: pick([0x80, 0x80, 0x00, 0xff])
      default: UInt64(pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff]))
      }
    return .store(value, server, view: view, offset: row.offset, size: row.size)
  }

  private mutating func anyAccess(
    _ access: VectorAccess, _ server: Int, view: Int
  ) -> RoutedAction {
    let size = pick([1, 2, 4, 4, 4, 8, 8])
    let place = chance(4) ? number(0x1000) : number(0x40) + 0x40 * (chance(2) ? 0 : number(32))
    let offset = place / size * size
    if access == .load { return .load(server, view: view, offset: offset, size: size) }
    let upper = UInt64(offset % 16 >= 8 ? context() : word()) << (size == 8 ? 32 : 0)
    let value = size == 8 ? upper | UInt64(word()) : upper & UInt64.max >> UInt64(64 - 8 * size)
    return .store(value, server, view: view, offset: offset, size: size)
  }

  /// Word 2 of a ring: often a vCPU's, also that of another one, of a thread, or of nobody.
  private mutating func context() -> UInt32 {
    // One number is in favour, or two rings would rarely have the same.
    if chance(2) { return 0x8000_0400 }
    let numbers: [UInt32] = [
      0x400, 0x401, 0x402, 0x403, 0x404, 0x80, 0x81, 0x123, 0x8_0400, 0x80_0400,
    ]
    let valid: UInt32 = chance(5) ? 0 : 0x8000_0000
    return valid | (chance(6) ? word() & 0x7f00_0000 : 0) | pick(numbers)
  }

  // MARK: - Tables

  private mutating func eas() -> [UInt32] {
    var first = word() & 0x7000_0000 | UInt32(number(Self.ends + (chance(10) ? 4 : 0)))
    if !chance(10) { first |= 0x8000_0000 }
    if chance(20) { first |= 0x0100_0000 }
    return [first, chance(10) ? word() | 0x8000_0000 : word() & 0x7fff_ffff]
  }

  private mutating func setEND() -> RoutedAction {
    let index = number(Self.ends)
    var end = ReferenceEND(chance(10) ? "" : "v")
    for flag in ["q", "n", "b", "e", "u", "s"] {
      // Silent ones are as rare as they are dull.
      if chance(flag == "s" ? 6 : 2) { end.flags += flag }
    }
    end.queueSize = UInt32(number(2))
    end.queue = UInt64(index * 8192)
    end.generation = UInt32(number(2))
    let entries = 1024 << Int(end.queueSize)
    end.index = UInt32(chance(2) ? entries - 1 - number(4) : number(entries))
    end.notifyPQ = UInt32(number(4))
    end.escalatePQ = UInt32(number(4))
    end.escalationBlock = chance(20) ? 1 : 0
    // Some escalate to themselves, without end.
    end.escalationIndex = UInt32(chance(6) ? index : number(Self.ends + (chance(10) ? 4 : 0)))
    end.escalationData = word() & 0x7fff_ffff
    end.block = chance(20) ? 1 : 0
    let others: [UInt32] = [0x80, 0x81, 0x123, 0x404]
    end.target = chance(5) ? pick(others) : UInt32(0x400 + number(Self.servers))
    if chance(3) { end.target = 0x400 }
    end.priority = UInt32(chance(8) ? pick([0xff, 0xff, 8, 0xfe]) : number(8))
    return .setEND(index, zip(end.words, Self.unused).map { $0 | $1 & word() })
  }

  /// Bits of an END that mean nothing here.
  private static let unused: [UInt32] = [
    0x08f0_80ff, 0x0f80_0000, 0xf000_0000, 0, 0xf000_0000, 0x8000_0000, 0xff00_0000, 0x7f00_ffff,
  ]
}
