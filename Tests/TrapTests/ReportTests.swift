import Testing
import XIVETestSupport

@Suite(
  "What is said of an instruction that a trapped window does not perform",
  .enabled(if: hasTrappedWindows && Requirement.has("cc", package: "gcc")), .hangGuard)
struct ReportTests {
  /// The bytes of an instruction, and what is said of it up to the addresses.
  static let reports = [
    ("48 83 0f 01", "cannot perform 'or qword ptr [rdi], 0x01' (48 83 0f 01)"),
    ("ff 05 08 00 00 00", "cannot perform 'inc dword ptr [0x55555555504e]' (ff 05 08 00 00 00)"),
    ("f3 48 ab", "cannot perform 'rep stosq' (f3 48 ab)"),
    (
      "62 f1 7c 48 10 44 24 10",
      "cannot perform 'vmovups zmm0, zmmword ptr [rsp+0x400]' (62 f1 7c 48 10 44 24 10)"
    ),
    ("87 07", "the bus refuses the locked operation 'xchg dword ptr [rdi], eax' (87 07)"),
    (
      "f0 48 0f b1 0f",
      "the bus refuses the locked operation 'lock cmpxchg qword ptr [rdi], rcx' (f0 48 0f b1 0f)"
    ),
    (
      "3e 67 65 f0 4b 81 84 c8 78 56 34 12 78 56 34",
      "cannot perform what is no instruction (3e 67 65 f0 4b 81 84 c8 78 56 34 12 78 56 34)"
    ),
    (
      "67 65 f0 4b 81 84 c8 78 56 34 12 78 56 34 12",
      "the bus refuses the locked operation "
        + "'lock add qword ptr gs:[r8d+r9d*8+0x12345678], 0x12345678' "
        + "(67 65 f0 4b 81 84 c8 78 56 34 12 78 56 34 12)"
    ),
    ("06", "cannot perform what is no instruction (06)"),
  ]

  @Test("One line, in one write, with the instruction, the addresses and the remedy")
  func text() throws {
    let directory = try TemporaryDirectory()
    let program = try TrapProgram("report", in: directory.path)
    for (bytes, said) in Self.reports {
      let place = ["0x7f0011223000", "0x100000000c00"]
      let result = try CommandResult(
        [program.path] + place + bytes.split(separator: " ").map(String.init))
      let line =
        "[xive: trapped window: \(said) at 0x555555555040, which accesses 0x7f0011223000"
        + " (device offset 0x100000000c00): use a plain load or store of 1, 2, 4 or 8 bytes"
      // The line's end, then the end of the write.
      #expect(Array(result.output.dropFirst()) == [line, "]"])
      let stack = try #require(result.output.first).split(separator: " ").compactMap { Int($0) }
      // Stacks of signals may be small: 2 KiB beside the handler's own.
      #expect(stack.count == 2 && stack.allSatisfy { $0 <= 2048 }, "\(bytes): \(stack)")
    }
  }
}
