internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

extension Scenario {
  /// Unmodified QEMU as a consumer.
  static let qemu = Scenario(
    "qemu", "QEMU maps the file as ivshmem memory, which is unplugged and re-plugged over QMP.",
    cycles: 20, needs: [.qemu]
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(7)
    let qemu = try GuestMachine(stage, device)
    try stage.step("start QEMU, map LISN 0-31 as its memory", expected: "all signatures") {
      for number in 0..<UInt32(32) { try qemu.verify(LISN(rawValue: number)) }
      return "64 pages by guest-physical address"
    }
    try stage.cycles(
      "map and unmap under it, and unplug and plug its device", expected: "each page as of its time"
    ) { cycle in
      let first = UInt32.random(in: 0..<24, using: &stage.random)
      let run = PassthroughRun(
        LISN(rawValue: first), to: phb, HardwareIRQ(rawValue: 0), count: 8)
      try device.plug(phb, PHBShape(msiCount: 8))
      try device.map(run)
      for lisn in run.lisns { try qemu.verify(lisn) }
      if cycle % 4 == 1 {
        try qemu.unplug()
        try qemu.plug()
        for lisn in run.lisns { try qemu.verify(lisn) }
      }
      if Bool.random(using: &stage.random) { try device.unmap(run) }
      try device.unplug(phb)
      for lisn in run.lisns { try qemu.verify(lisn) }
    }
    try stage.step("end QEMU", expected: "exit 0") { try qemu.end() }
  }
}

/// QEMU and the device whose pages it shows.
private final class GuestMachine {
  private let stage: Stage
  private let device: OperatedDevice
  private let machine: QEMUMachine
  /// The number of the memory that is shown.
  private var memory = 0

  private static let slot: UInt64 = 5
  private static let window: UInt64 = 0xe000_0000
  /// Where a store of a slot's bit ejects what the slot holds: what the guest's ACPI code would do.
  private static let eject: UInt16 = 0xae08

  init(_ stage: Stage, _ device: OperatedDevice) throws {
    self.stage = stage
    self.device = device
    guard let program = Program.find("qemu-system-x86_64") else {
      throw HarnessFailure.system("qemu-system-x86_64", "is not installed")
    }
    machine = try QEMUMachine(
      program, device.server.path, ["-device", "ivshmem-plain,memdev=esb,addr=5,id=window"],
      monitor: "\(stage.place.path)/monitor")
    machine.enableMemory(slot: Self.slot, at: Self.window)
  }

  /// Compares a source's pages, loaded by guest-physical address, with what must be.
  func verify(_ lisn: LISN) throws {
    guard let source = device.model.sources[lisn] else { return }
    for half in ESBHalf.allCases {
      let offset = device.map.kernelOffset(of: lisn, half)
      var expected = PageSignature(
        backing: source.server == nil ? .ipi : .phb, deviceOffset: offset)
      expected.lisn = lisn.rawValue
      expected.half = half.rawValue
      expected.phb = UInt32(source.server?.phb.rawValue ?? 0)
      expected.hardwareIRQ = UInt32(source.server?.irq.rawValue ?? 0)
      expected.generation = source.generation
      try stage.expect(
        "\(half.name) page of LISN \(lisn) in QEMU", Shown(expected),
        Shown(machine.signature(at: Self.window + offset)))
    }
  }

  /// Unplugs the device that shows the window, and finds its slot empty.
  func unplug() throws {
    stage.note("QEMU: device_del")
    try require("device_del", #""id": "window""#)
    machine.out(1 << UInt32(Self.slot), to: Self.eject)
    try stage.expect("DEVICE_DELETED has come", true, machine.event("DEVICE_DELETED") != nil)
    try stage.expect("the slot after the unplug", UInt32.max, machine.identity(slot: Self.slot))
    try require("object-del", #""id": "\#(name)""#)
  }

  /// Plugs such a device again, over a new mapping of the file: QEMU 7.2 aborts when a memory is used again.
  func plug() throws {
    memory += 1
    stage.note("QEMU: device_add over \(name)")
    try require(
      "object-add",
      #""qom-type": "memory-backend-file", "id": "\#(name)", "share": true, "#
        + #""mem-path": "\#(device.server.path)", "size": \#(QEMUMachine.windowByteCount)"#)
    try require(
      "device_add",
      #""driver": "ivshmem-plain", "memdev": "\#(name)", "addr": "5", "id": "window""#)
    machine.enableMemory(slot: Self.slot, at: Self.window)
    // Red Hat's virtual shared memory: source QEMU docs/specs/ivshmem-spec.rst.
    try stage.expect("the slot after the plug", 0x1110_1af4, machine.identity(slot: Self.slot))
  }

  private var name: String { memory == 0 ? "esb" : "esb\(memory)" }

  private func require(_ command: String, _ arguments: String) throws {
    let line = #"{"execute": "\#(command)", "arguments": {\#(arguments)}}"#
    let answer = machine.execute(line) ?? "no answer"
    try stage.expect("QEMU's answer to \(line)", #"{"return": {}}"#, answer.trimmed)
  }

  func end() throws -> String {
    let code = machine.end()
    try stage.expect("QEMU's exit code", Shown(0), Shown(code))
    return "exit 0"
  }
}

extension String {
  /// Without the carriage return that ends QMP's lines.
  fileprivate var trimmed: String { hasSuffix("\r") ? String(dropLast()) : self }
}
