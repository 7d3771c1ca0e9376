internal import SystemCalls
internal import XIVEHarness
internal import XIVEModel

/// QEMU as a consumer: maps the file from offset 0 as guest memory, and loads from it by guest-physical address.
enum QEMUConsumer {
  private static let bar: UInt64 = 0xe000_0000
  /// The slot that the only PCI device of the machine beside its bridges is told to take.
  private static let slot: UInt64 = 5

  /// Runs QEMU and compares what it loads with the signatures that the device file gives.
  static func run(_ program: String, _ path: String, _ map: DeviceMap) -> [Check] {
    guard
      let qemu = try? QEMUMachine(
        program, path, ["-device", "ivshmem-plain,memdev=esb,addr=\(slot)"])
    else { return [Check(false, "\(program): cannot be started")] }
    qemu.enableMemory(slot: slot, at: bar)
    var checks: [Check] = []
    for number in [UInt32(0), 3, 15] {
      for half in ESBHalf.allCases {
        checks.append(check(LISN(rawValue: number), half, map, qemu))
      }
    }
    _ = qemu.end()
    return checks
  }

  private static func check(
    _ lisn: LISN, _ half: ESBHalf, _ map: DeviceMap, _ qemu: QEMUMachine
  ) -> Check {
    let offset = map.kernelOffset(of: lisn, half)
    let signature = qemu.signature(at: bar + offset)
    let isSame =
      signature?.lisn == lisn.rawValue && signature?.half == half.rawValue
      && signature?.deviceOffset == offset
    return Check(
      isSame,
      "guest-physical \(hexadecimal(bar + offset)): LISN \(signature.map { "\(LISN(rawValue: $0.lisn))" } ?? "-"), "
        + "\(half.name) page")
  }
}
