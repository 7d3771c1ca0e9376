internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// A guest of four vCPUs and two passed-through devices, on a device file; a thread for each of them.
final class GuestMachine: Sendable {
  static let cpuCount = 4
  private static let messageCount: UInt32 = 8
  // Where pseries has such sources; EISNs are not LISNs, so that nobody takes one for the other.
  private static let firstIPI: UInt32 = 0x0
  private static let firstLine: UInt32 = 0x1200
  private static let firstMessage: UInt32 = 0x1300
  private static let firstEISN: UInt32 = 0x40

  /// The longest time without a single event, in nanoseconds: then something has been lost.
  let patience: UInt64
  let device: XIVEDescriptor
  let cpus: [GuestCPU]
  /// One stays, the other is plugged and unplugged.
  let devices: [GuestDevice]
  let sources: [GuestSource]

  /// Connects the vCPUs and routes the sources; all are unmasked.
  init(_ path: String, patience: UInt64) throws {
    self.patience = patience
    device = try XIVEDescriptor(path)
    let memory = try GuestMemory(byteCount: Self.cpuCount * 2 * EventQueue.byteCount)
    try device.addMemory(memory, slot: 0, at: GuestCPU.memoryAddress)
    cpus = try (0..<Self.cpuCount).map { try GuestCPU($0, path, memory) }
    let sources = Self.makeSources()
    self.sources = sources
    devices = try [PHBIndex(rawValue: 0), PHBIndex(rawValue: 1)].compactMap { phb in
      try phb.map { try GuestDevice(path, $0, Self.sources(of: $0, sources)) }
    }
    for source in sources { try create(source) }
    for device in devices { try device.plug() }
  }

  /// Leaves the device as it was, but for the sources, which are masked.
  func end() throws {
    for device in devices { try device.unplug() }
    try device.reset()
    try device.removeMemory(slot: 0)
  }

  private func create(_ source: GuestSource) throws {
    if case .line = source.origin {
      try device.createSource(source.lisn, isLSI: true)
    } else {
      try device.createSource(source.lisn)
    }
    let server = Server(rawValue: UInt32(source.target))
    try device.configureSource(source.lisn, to: server, source.priority, eisn: source.eisn)
    if case .vcpu = source.origin { try device.setPQ(of: source.lisn, to: .reset) }
  }

  // MARK: - Sources

  /// An IPI for each pair of vCPUs, eight messages for each device, and a line for the first.
  private static func makeSources() -> [GuestSource] {
    var sources: [GuestSource] = []
    func add(_ lisn: UInt32, _ origin: GuestSource.Origin, to target: Int) {
      let eisn = EISN(rawValue: firstEISN + UInt32(sources.count))
      sources.append(GuestSource(LISN(rawValue: lisn), eisn: eisn, from: origin, to: target))
    }
    for from in 0..<cpuCount {
      for to in 0..<cpuCount where to != from {
        add(firstIPI + UInt32(from * cpuCount + to), .vcpu(from), to: to)
      }
    }
    for (number, phb) in [PHBIndex(rawValue: 0), PHBIndex(rawValue: 1)].enumerated() {
      guard let phb else { continue }
      for irq in 0..<messageCount {
        let lisn = firstMessage + UInt32(number) * messageCount + irq
        let message = GuestSource.Origin.message(phb, HardwareIRQ(rawValue: UInt16(irq)))
        add(lisn, message, to: Int(irq) % cpuCount)
      }
      guard number == 0 else { continue }
      add(firstLine, .line(phb, HardwareIRQ(rawValue: UInt16(messageCount))), to: 0)
    }
    return sources
  }

  private static func sources(of phb: PHBIndex, _ sources: [GuestSource]) -> [GuestSource] {
    sources.filter { source in
      switch source.origin {
      case .message(phb, _), .line(phb, _): true
      default: false
      }
    }
  }
}
