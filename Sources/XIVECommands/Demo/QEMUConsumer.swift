internal import SystemCalls
internal import XIVEModel

/// QEMU as a consumer: maps the file from offset 0 as guest memory, and loads from it by guest-physical address.
///
/// Driven over qtest; no guest code runs. Source: QEMU `docs/devel/testing/qtest.rst`,
/// `hw/misc/ivshmem.c` (BAR 2 is the memory).
enum QEMUConsumer {
  /// Bytes of the file that QEMU maps.
  private static let byteCount = 1 << 20
  private static let bar: UInt64 = 0xe000_0000
  /// The slot that the only PCI device of the machine beside its bridges is told to take.
  private static let slot: UInt64 = 5

  /// Runs QEMU and compares what it loads with the signatures that the device file gives.
  static func run(_ program: String, _ path: String, _ map: DeviceMap) -> [Check] {
    guard
      var qemu = try? ChildProcess(
        program,
        [
          "-machine", "pc", "-accel", "tcg", "-S", "-display", "none", "-nodefaults",
          "-qtest", "stdio", "-qtest-log", "none",
          "-object", "memory-backend-file,id=esb,mem-path=\(path),size=1M,share=on",
          "-device", "ivshmem-plain,memdev=esb,addr=\(slot)",
        ])
    else { return [Check(false, "\(program): cannot be started")] }
    enableMemory(&qemu)
    var checks: [Check] = []
    for number in [UInt32(0), 3, 15] {
      for half in ESBHalf.allCases {
        checks.append(check(LISN(rawValue: number), half, map, &qemu))
      }
    }
    qemu.signal(15)
    _ = qemu.exitCode(within: 10_000)
    return checks
  }

  private static func check(
    _ lisn: LISN, _ half: ESBHalf, _ map: DeviceMap, _ qemu: inout ChildProcess
  ) -> Check {
    let offset = map.kernelOffset(of: lisn, half)
    let address = bar + offset
    let registers = InlineArray<8, UInt64> { index in
      let word = ask(
        "readq \(hexadecimal(address + UInt64(PageSignature.offset + index * 8)))", &qemu)
      // The guest is little-endian, the register is not.
      return word.byteSwapped
    }
    let signature = PageSignature(registers: registers)
    let isSame =
      signature?.lisn == lisn.rawValue && signature?.half == half.rawValue
      && signature?.deviceOffset == offset
    return Check(
      isSame,
      "guest-physical \(hexadecimal(address)): LISN \(signature.map { "\(LISN(rawValue: $0.lisn))" } ?? "-"), "
        + "\(half.name) page")
  }

  /// Gives BAR 2 an address and lets the device answer there.
  private static func enableMemory(_ qemu: inout ChildProcess) {
    for (register, value) in [(UInt64(0x18), bar), (0x1c, 0), (0x04, 2)] {
      let address = 0x8000_0000 | slot << 11 | register
      _ = ask("outl 0xcf8 \(hexadecimal(address))", &qemu)
      _ = ask("outl 0xcfc \(hexadecimal(value))", &qemu)
    }
  }

  private static func ask(_ command: String, _ qemu: inout ChildProcess) -> UInt64 {
    qemu.send(command)
    guard let answer = qemu.line(within: 10_000), answer.hasPrefix("OK") else { return 0 }
    return OffsetName.number(String(answer.dropFirst(3))) ?? 0
  }
}
