import Foundation
import XIVETestSupport

/// Every opcode that can have an operand in memory, under the prefixes that change what it is.
///
/// Binutils' disassembler says what each one is; from its words, not from any bits, follows what is to become of it.
struct OpcodeMap {
  static let slotSize = 16

  /// One instruction per slot, and single bytes of nothing behind it.
  let bytes: [UInt8]
  /// The file that has them.
  let path: String
  /// What the disassembler makes of each slot.
  let texts: [String]

  init(in directory: String) throws {
    bytes = (Self.legacy + Self.vector).flatMap {
      $0 + Array(repeating: 0x90, count: Self.slotSize - $0.count)
    }
    path = directory + "/instructions"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    texts = try Self.disassemble(path, bytes.count / Self.slotSize)
  }

  // MARK: - Instructions

  /// [rdi+8], with any register or further bits of the opcode.
  private static let operands: [[UInt8]] = (0..<8).map { [0x47 | $0 << 3, 8] }

  private static var legacy: [[UInt8]] {
    let prefixes: [[UInt8]] = [
      [], [0x66], [0xf2], [0xf3], [0x48], [0x66, 0x48], [0xf0], [0xf0, 0x66], [0xf2, 0xf0],
    ]
    let maps: [[UInt8]] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
    return prefixes.flatMap { prefix in maps.flatMap { all(prefix + $0, isFirst: $0.isEmpty) } }
  }

  /// A map with all of its opcodes; in the first one, lock and what would be a REX prefix are none.
  private static func all(_ head: [UInt8], isFirst: Bool) -> [[UInt8]] {
    var result: [[UInt8]] = []
    for opcode in UInt8.min...UInt8.max where !isFirst || (opcode >> 4 != 4 && opcode != 0xf0) {
      result += operands.map { head + [opcode] + $0 }
    }
    return result
  }

  /// VEX and EVEX, of all maps, operand widths and prefixes that are part of the opcode.
  private static var vector: [[UInt8]] {
    var heads: [[UInt8]] = []
    for map: UInt8 in 1...3 {
      for end: UInt8 in [0x78, 0x79, 0x7a, 0x7b, 0xf8, 0xf9, 0xfa, 0xfb] {
        heads += [[0xc4, 0xe0 | map, end], [0x62, 0xf0 | map, end | 4, 0x48]]
      }
    }
    return heads.flatMap { head in
      (UInt8.min...UInt8.max).map { head + [$0] + operands[1] }
    }
  }

  // MARK: - Words

  private static func disassemble(_ path: String, _ count: Int) throws -> [String] {
    let result = try CommandResult([
      "objdump", "-D", "-w", "-z", "--no-show-raw-insn", "-b", "binary", "-m", "i386:x86-64", "-M",
      "intel", path,
    ])
    var texts = Array(repeating: "", count: count)
    for line in result.output {
      let parts = line.split(separator: "\t", maxSplits: 1)
      guard parts.count == 2, let address = Int(parts[0].drop { $0 == " " }.dropLast(1), radix: 16),
        address % slotSize == 0
      else { continue }
      texts[address / slotSize] = String(parts[1])
    }
    return texts
  }

  /// What the trap is to make of an instruction, from its text.
  static func verdict(of text: String) -> Verdict {
    let instruction = DisassembledInstruction(text)
    guard instruction.isOne, instruction.memoryCount == 1 else { return .refused }
    if instruction.isLocked || instruction.name == "xchg" {
      return instruction.canBeLocked ? .busError : .refused
    }
    return !instruction.isRepeated && instruction.onlyLoadsOrStores ? .performed : .refused
  }
}

/// An instruction in a disassembler's words (Intel).
private struct DisassembledInstruction {
  let name: String
  let operands: [String]
  private let prefixes: [String]

  private static let prefixNames: Set<String> = [
    "lock", "rep", "repz", "repnz", "xacquire", "xrelease", "bnd", "data16", "addr32", "notrack",
    "cs", "ds", "es", "ss", "fs", "gs",
  ]

  init(_ text: String) {
    let code = text.split(separator: "#", maxSplits: 1).first.map(String.init) ?? ""
    let words = code.split(separator: " ").map(String.init)
    let rest = words.drop { Self.prefixNames.contains($0) || $0.hasPrefix("rex") }
    prefixes = Array(words.prefix(words.count - rest.count))
    name = rest.first ?? "(bad)"
    operands = rest.dropFirst().joined(separator: " ").split(separator: ",").map(String.init)
  }

  /// Whether the processor has such an instruction.
  var isOne: Bool {
    name != "(bad)" && !operands.contains { $0.contains("(bad)") || $0.contains("?") }
  }
  var isLocked: Bool { prefixes.contains("lock") }
  var isRepeated: Bool {
    prefixes.contains { $0.hasPrefix("rep") || $0.hasPrefix("x") || $0 == "bnd" }
  }
  var memoryCount: Int { operands.count(where: Self.isMemory) }

  private static func isMemory(_ operand: String) -> Bool {
    operand.contains("[") || operand.contains("s:0x")
  }

  private var isToMemory: Bool { Self.isMemory(operands[0]) }

  /// The processor has the prefix for these alone, and only where they write memory.
  var canBeLocked: Bool {
    let names: Set<String> = [
      "add", "or", "adc", "sbb", "and", "sub", "xor", "inc", "dec", "neg", "not", "xchg", "xadd",
      "cmpxchg", "cmpxchg8b", "cmpxchg16b", "btc", "btr", "bts",
    ]
    return names.contains(name) && isToMemory
  }

  var onlyLoadsOrStores: Bool {
    if name.hasPrefix("cmov") { return true }
    switch name {
    case "mov": return isToMemory || !Self.segments.contains(operands[0])
    case "movabs", "movzx", "movsx", "movsxd", "movbe", "cmp", "test": return true
    case "add", "or", "adc", "sbb", "and", "sub", "xor": return !isToMemory
    case "imul": return operands.count >= 2
    case "bt": return operands[1].hasPrefix("0x")
    default: return false
    }
  }

  private static let segments: Set<String> = ["es", "cs", "ss", "ds", "fs", "gs"]
}
