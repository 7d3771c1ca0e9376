internal import SystemCalls
public import SystemPackage
public import XIVEModel

/// An unmodified QEMU that has a device file as the memory of an ivshmem device, driven over qtest; no guest code runs.
///
/// Source: QEMU `docs/devel/testing/qtest.rst`; `hw/misc/ivshmem.c`: BAR 2 is the memory;
/// `docs/specs/acpi_pci_hotplug.rst`: the ports of PCI hot-plug.
/// Thread rule: one thread at a time.
public final class QEMUMachine {
  private var process: ChildProcess
  /// The QMP connection, when one was asked for.
  private var monitor: MonitorConnection?

  /// Bytes of the file that a device shows.
  public static let windowByteCount = 1 << 20

  /// Starts QEMU.
  /// - Parameters:
  ///   - program: `qemu-system-x86_64`.
  ///   - path: the device file; `esb` is the name of its memory.
  ///   - words: what else the machine is to have.
  ///   - monitor: where to make a socket for QMP, when devices are to come and go.
  /// - Throws: the error of starting it, or of its monitor.
  public init(_ program: String, _ path: String, _ words: [String], monitor: String? = nil)
    throws(Errno)
  {
    var all = [
      "-machine", "pc", "-accel", "tcg", "-S", "-display", "none", "-nodefaults",
      "-qtest", "stdio", "-qtest-log", "none",
      "-object", "memory-backend-file,id=esb,mem-path=\(path),size=1M,share=on",
    ]
    if let monitor { all += ["-qmp", "unix:\(monitor),server=on,wait=off"] }
    process = try ChildProcess(program, all + words, inOwnGroup: true)
    self.monitor = nil
    guard let monitor else { return }
    // It answers once its devices and its sockets exist.
    _ = ask("readb 0x0")
    self.monitor = try MonitorConnection(monitor)
  }

  deinit { process.signal(15) }

  /// Gives the ivshmem device in a slot its memory's address, and lets it answer there.
  /// - Parameters:
  ///   - slot: the PCI slot.
  ///   - address: guest-physical, a multiple of the window's size, below 4 GiB.
  public func enableMemory(slot: UInt64, at address: UInt64) {
    for (register, value) in [(UInt64(0x18), address), (0x1c, 0), (0x04, 2)] {
      _ = ask("outl 0xcf8 \(hex(0x8000_0000 | slot << 11 | register))")
      _ = ask("outl 0xcfc \(hex(value))")
    }
  }

  /// Loads the signature of a page by its guest-physical address.
  /// - Parameter address: the page's.
  /// - Returns: the signature, or nil when there is none.
  public func signature(at address: UInt64) -> PageSignature? {
    var words: [UInt64] = []
    for index in 0..<8 {
      let word = ask("readq \(hex(address + UInt64(PageSignature.offset + index * 8)))")
      // The guest is little-endian, the register is not.
      words.append((word ?? 0).byteSwapped)
    }
    return PageSignature(registers: .init { words[$0] })
  }

  /// Stores 32 bits to a port.
  public func out(_ value: UInt32, to port: UInt16) {
    _ = ask("outl \(hex(UInt64(port))) \(hex(UInt64(value)))")
  }

  /// Loads a PCI device's vendor and number.
  /// - Parameter slot: the PCI slot.
  /// - Returns: both, all ones where there is no device.
  public func identity(slot: UInt64) -> UInt32 {
    _ = ask("outl 0xcf8 \(hex(0x8000_0000 | slot << 11))")
    return UInt32(truncatingIfNeeded: ask("inl 0xcfc") ?? 0)
  }

  private func ask(_ command: String) -> UInt64? {
    process.send(command)
    guard let answer = process.line(within: 10_000), answer.hasPrefix("OK") else { return nil }
    return OffsetName.number(String(answer.dropFirst(3)))
  }

  private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

  // MARK: - QMP

  /// Has QEMU execute a QMP command.
  /// - Parameter command: its JSON.
  /// - Returns: the answer's line; nil without an answer.
  public func execute(_ command: String) -> String? { monitor?.execute(command) }

  /// Waits for a QMP event.
  /// - Parameter name: its name.
  /// - Returns: the event's line; nil when it does not come in ten seconds.
  public func event(_ name: String) -> String? { monitor?.event(name) }

  /// Ends QEMU.
  /// - Returns: its exit code, or nil when it does not end.
  public func end() -> Int32? {
    process.signal(15)
    return process.exitCode(within: 10_000)
  }
}
