/// What the trap makes of an instruction; the numbers are those of `enum trap_verdict`.
enum Verdict: Int, Sendable {
  case performed
  case busError
  case refused
}

/// An instruction in an assembler's words (AT&T), with what the trap is to make of it.
struct AssemblerForm: Sendable {
  let text: String
  let verdict: Verdict

  init(_ text: String, _ verdict: Verdict = .performed) {
    self.text = text
    self.verdict = verdict
  }

  /// All forms as a source file: the code, and a table of it in the section `cases`.
  static func source(of forms: [AssemblerForm]) -> String {
    var text = ".text\n"
    for form in forms {
      text += "1:\(form.text)\n2:\n"
      text += ".section .rodata\n3:.asciz \"\(form.text)\"\n"
      text += ".section cases,\"aw\"\n.quad 1b,3b,2b-1b,\(form.verdict.rawValue)\n.text\n"
    }
    return text + ".section .note.GNU-stack,\"\",@progbits\n"
  }
}

/// The general registers by width.
enum RegisterNames {
  private static let numbered = (8...15).map { "%r\($0)" }
  static let quads =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"].map { "%" + $0 } + numbered
  static let longs =
    ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"].map { "%" + $0 }
    + numbered.map { $0 + "d" }
  static let words =
    ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"].map { "%" + $0 } + numbered.map { $0 + "w" }
  static let bytes =
    ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"].map { "%" + $0 }
    + numbered.map { $0 + "b" } + highBytes
  /// No instruction with a REX prefix has them.
  static let highBytes = ["%ah", "%ch", "%dh", "%bh"]

  /// By the suffix of an instruction.
  static let bySuffix = [("b", bytes), ("w", words), ("l", longs), ("q", quads)]
}
