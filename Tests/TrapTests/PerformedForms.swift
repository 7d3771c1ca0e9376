/// Every form of instruction that a trapped window performs: operations, each with all registers, and ways to address.
enum PerformedForms {
  /// Each operation with two addresses in turn, each address with an operation in turn, and what no assembler writes.
  static var all: [AssemblerForm] {
    let places = Addresses.all
    let plain = places.filter { !needsREX($0) }
    var forms: [AssemblerForm] = []
    for (number, operation) in operations.enumerated() {
      let usable = hasHighByte(operation) ? plain : places
      for way in [2 * number, 2 * number + 1] {
        forms.append(form(operation, usable[way * 37 % usable.count]))
      }
    }
    let free = operations.filter { !hasHighByte($0) }
    for (number, place) in places.enumerated() {
      forms.append(form(free[number * 41 % free.count], place))
    }
    return forms + (wholeAddresses + bytes).map { AssemblerForm($0) }
  }

  private static func form(_ operation: String, _ place: String) -> AssemblerForm {
    AssemblerForm(operation.replacing("@", with: place))
  }

  private static func hasHighByte(_ operation: String) -> Bool {
    RegisterNames.highBytes.contains { operation.contains($0) }
  }

  private static func needsREX(_ place: String) -> Bool {
    (8...15).contains { place.contains("%r\($0)") }
  }

  // MARK: - Operations; @ is memory

  private static let operations: [String] =
    moves + extensions + swaps + selectors + arithmetic + comparisons + conditions
    + multiplications + bits

  private static var moves: [String] {
    RegisterNames.bySuffix.flatMap { suffix, names in
      names.flatMap { ["mov\(suffix) @,\($0)", "mov\(suffix) \($0),@"] }
    } + [
      "movb $0x81,@", "movw $0x8123,@", "movl $0x81234567,@", "movq $0x12345678,@",
      "movq $-0x12345678,@", "movq $-1,@",
    ]
  }

  private static var extensions: [String] {
    let kinds = [
      ("bw", RegisterNames.words), ("bl", RegisterNames.longs), ("bq", RegisterNames.quads),
      ("wl", RegisterNames.longs), ("wq", RegisterNames.quads),
    ]
    let both = kinds.flatMap { kind, names in
      names.flatMap { ["movz\(kind) @,\($0)", "movs\(kind) @,\($0)"] }
    }
    return both + RegisterNames.quads.map { "movslq @,\($0)" }
  }

  private static var swaps: [String] {
    RegisterNames.bySuffix.dropFirst().flatMap { suffix, names in
      names.flatMap { ["movbe\(suffix) @,\($0)", "movbe\(suffix) \($0),@"] }
    }
  }

  private static var selectors: [String] {
    ["es", "cs", "ss", "ds", "fs", "gs"].map { "movw %\($0),@" }
  }

  private static var arithmetic: [String] {
    ["add", "or", "adc", "sbb", "and", "sub", "xor"].flatMap { name in
      RegisterNames.bySuffix.flatMap { suffix, names in
        names.map { "\(name)\(suffix) @,\($0)" }
      }
    }
  }

  private static var comparisons: [String] {
    let registers = RegisterNames.bySuffix.flatMap { suffix, names in
      names.flatMap { ["cmp\(suffix) @,\($0)", "cmp\(suffix) \($0),@", "test\(suffix) \($0),@"] }
    }
    let values = ["b", "w", "l", "q"].flatMap { suffix in
      ["$5", "$-5", "$0x7f"].flatMap { ["cmp\(suffix) \($0),@", "test\(suffix) \($0),@"] }
    }
    return registers + values + [
      "cmpw $0x8123,@", "cmpl $0x81234567,@", "cmpq $-0x12345678,@", "testw $0x8123,@",
      "testl $0x81234567,@", "testq $-0x12345678,@",
    ]
  }

  private static var conditions: [String] {
    let names = [
      "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
    ]
    return RegisterNames.bySuffix.dropFirst().flatMap { suffix, registers in
      names.flatMap { name in registers.map { "cmov\(name)\(suffix) @,\($0)" } }
    }
  }

  private static var multiplications: [String] {
    RegisterNames.bySuffix.dropFirst().flatMap { suffix, names in
      names.flatMap { name in
        ["", "$7,", "$-9,", "$0x1234,", "$-0x1234,"].map { "imul\(suffix) \($0)@,\(name)" }
      }
    }
  }

  private static var bits: [String] {
    ["w", "l", "q"].flatMap { suffix in
      [0, 5, 15, 31, 63, 0x85, 0xff].map { "bt\(suffix) $\($0),@" }
    }
  }

  // MARK: - What has an address in it, or is written in bytes

  private static var wholeAddresses: [String] {
    let address = "0x234567891abc"
    return ["%al", "%ax", "%eax", "%rax"].flatMap {
      ["movabs \(address),\($0)", "movabs \($0),\(address)", "fs movabs \(address),\($0)"]
    }
  }

  private static var bytes: [String] {
    [
      // moffs of 32 bits: al, eax, rax; loads and stores.
      "0x67,0xa0,0x00,0x10,0x20,0x30", "0x67,0xa1,0x00,0x10,0x20,0x30",
      "0x67,0x48,0xa1,0x00,0x10,0x20,0x30", "0x67,0xa2,0x00,0x10,0x20,0xf0",
      "0x67,0x48,0xa3,0x00,0x10,0x20,0xf0", "0x67,0x65,0xa1,0x00,0x10,0x20,0x30",
      // No base, whatever REX.B says; with an index and without one; 64 and 32 bits.
      "0x41,0x8b,0x04,0x25,0x00,0x10,0x20,0x30", "0x43,0x8b,0x04,0x05,0x00,0x10,0x20,0x30",
      "0x67,0x41,0x8b,0x04,0x25,0x00,0x10,0x20,0x30",
      "0x67,0x43,0x89,0x04,0x8d,0x00,0x10,0x20,0x30",
      // movsxd without REX.W: 32 bits, 16 bits.
      "0x63,0x07", "0x66,0x63,0x07", "0x66,0x44,0x63,0x0f",
      // Only the last prefix can be REX; REX.W beats 66.
      "0x48,0x66,0x8b,0x07", "0x4f,0x41,0x8b,0x07", "0x66,0x48,0x8b,0x07", "0x66,0x66,0x89,0x07",
      "0x48,0x66,0xc7,0x07,0x34,0x92", "0x66,0x48,0xc7,0x07,0x34,0x92,0x34,0x92",
      // Of several segments the last of fs and gs counts; the others are not there.
      "0x65,0x3e,0x8b,0x07", "0x3e,0x65,0x8b,0x07", "0x64,0x65,0x8b,0x07", "0x65,0x64,0x8b,0x07",
      "0x65,0x2e,0x89,0x07", "0x26,0x36,0x89,0x07", "0x64,0x26,0x67,0x8b,0x07",
      // The longest there are.
      "0x66,0x67,0x65,0x41,0x81,0xbc,0xc8,0x78,0x56,0x34,0x12,0x34,0x12",
      "0x3e,0x67,0x65,0x49,0xc7,0x84,0xc8,0x78,0x56,0x34,0x12,0x01,0x02,0x03,0x84",
    ].map { ".byte \($0)" }
  }
}

/// Every way to address memory.
private enum Addresses {
  static let all: [String] =
    simple(RegisterNames.quads) + simple(RegisterNames.longs) + scaled(RegisterNames.quads)
    + scaled(RegisterNames.longs) + relative + segmented

  private static func simple(_ names: [String]) -> [String] {
    let displacements = ["", "0x12", "-0x80", "-0x1234567", "0x7fffffff"]
    return names.flatMap { name in displacements.map { "\($0)(\(name))" } }
  }

  private static func scaled(_ names: [String]) -> [String] {
    // The stack pointer is no index.
    let indexes = names.filter { !$0.contains("sp") }
    return indexes.flatMap { index in
      [1, 2, 4, 8].flatMap { scale in
        ["-0x12345(,\(index),\(scale))"]
          + names.enumerated().map { number, base in
            ["", "0x21", "-0x7654321"][(number + scale) % 3] + "(\(base),\(index),\(scale))"
          }
      }
    }
  }

  private static var relative: [String] {
    [
      "0x10203040", "0x7ffff008", "0x1234567(%rip)", "-0x76543(%rip)", "0x1234567(%eip)",
      "-0x76543(%eip)",
    ]
  }

  private static var segmented: [String] {
    ["fs", "gs", "cs", "ds", "es", "ss"].flatMap { segment in
      ["(%rdi)", "0x123(%r13)", "-0x1234(%rbp,%rax,2)", "(%rsp)", "0x12(%esi)", "0x10203040"].map {
        "%\(segment):\($0)"
      }
    }
  }
}
