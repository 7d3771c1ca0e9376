internal import XIVEModel

/// A guest's vCPU with one event queue, and what Linux does there when an interrupt comes.
struct Guest {
  static let queueByteCount = 1 << 16

  let machine: Machine
  let server: Server
  /// What is triggered for each event: an IPI, perhaps.
  let answer: LISN?
  /// Bit 31 of the next new entry of the queue, and where it will be.
  private var generation: UInt32 = 1
  private var index = 0

  init(_ machine: Machine, _ server: Server, _ priority: Priority, answer: LISN? = nil) {
    self.machine = machine
    self.server = server
    self.answer = answer
    machine.setQueue(of: server, priority, at: queue, byteCount: Self.queueByteCount)
    // CPPR: everything is let through.
    machine.store(0xff, server, at: 0x11, 1)
  }

  private var queue: Int { Int(server.rawValue) * Self.queueByteCount }

  mutating func takeInterrupt() {
    // NSR in the upper byte, and the priority that the vCPU has now.
    let register = machine.load(server, at: 0x810, 2)
    guard register & 0x8000 != 0 else { return }
    while let event = nextEvent() {
      print("vCPU \(server.rawValue): priority \(register & 0xff), event \(event)")
      if let answer { machine.store(answer, .trigger, at: 0) }
      // SET_PQ_00; what came meanwhile is triggered again.
      if machine.load(event, .management, at: 0xc00) & 1 != 0 {
        machine.store(event, .trigger, at: 0)
      }
    }
    // Only now the next one.
    machine.store(0xff, server, at: 0x11, 1)
  }

  private mutating func nextEvent() -> LISN? {
    let entry = machine.word(at: queue + index * 4)
    guard entry >> 31 == generation else { return nil }
    index = (index + 1) % (Self.queueByteCount / 4)
    if index == 0 { generation ^= 1 }
    return LISN(rawValue: entry & 0x7fff_ffff)
  }
}
