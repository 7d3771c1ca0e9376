import FoundationEssentials
import XIVEClient
import XIVEModel
import XIVETestSupport

/// A served device with guest memory and a machine in it that has something to save.
struct StateGuest: ~Copyable {
  static let address: UInt64 = 0x4000_0000
  static let options = ["--sources", "256", "--create", "0-15", "--create", "20-21:lsi"]

  let served: ServedDevice
  let device: XIVEDescriptor

  init(_ options: [String] = Self.options, hasMemory: Bool = true) throws {
    let served = try ServedDevice(options)
    let device = try XIVEDescriptor(served.path)
    if hasMemory {
      try device.addMemory(try GuestMemory(byteCount: 1 << 20), slot: 0, at: Self.address)
    }
    self.served = served
    self.device = device
  }

  /// Gives the machine a state of every kind.
  func fill() throws {
    let server = Server(rawValue: 2)
    guard let priority = Priority(rawValue: 6) else { throw SupportFailure("no priority") }
    try device.setVPState(VPState(RingState(w01: 0x00ff_0200_ff00_0000)), of: server)
    let end = END(notifying: server, priority, queueAddress: Self.address + 0x1_0000)
    try device.setEND(at: ENDIndex(server, priority), to: end)
    var records = (0..<16 as Range<UInt8>).map { SourceRecord(pq: PQ(rawValue: $0 & 3)) }
    for index in records.indices.dropFirst(4) {
      records[index].route(to: server, priority, eisn: EISN(rawValue: UInt32(index)))
    }
    try device.setSourceRecords(records, from: LISN(rawValue: 0))
    try device.setLine(of: LISN(rawValue: 20), to: true)
  }

  /// The machine's state as a file has it.
  func bytes() throws -> [UInt8] { try MachineState.read(from: device).fileBytes }
}

/// All bytes of a file.
func contents(of path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}
