import SystemCalls
import XIVEClient
public import XIVEModel
import XIVETestSupport

/// A served device with guest memory of 4 MiB at guest-physical address 0x40000000.
struct DeliveryRig: ~Copyable {
  static let memoryAddress: UInt64 = 0x4000_0000

  let served: ServedDevice
  let device: XIVEDescriptor
  let memory: GuestMemory

  init(_ options: [String] = ["--create", "0-31"]) throws {
    let served = try ServedDevice(options)
    let device = try XIVEDescriptor(served.path)
    let memory = try GuestMemory(byteCount: 4 << 20)
    try device.addMemory(memory, slot: 0, at: Self.memoryAddress)
    self.served = served
    self.device = device
    self.memory = memory
  }

  func connect(_ server: Server) throws(XIVEClientError) -> VCPU {
    try VCPU(served.path, server: server)
  }

  /// Waits until so many vCPUs are left: a device hears of a descriptor that was closed a moment later.
  func isDisconnected(from count: UInt64) throws -> Bool {
    for _ in 0..<5_000 where try device.deliveryCounters().vcpus != count {
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    return try device.deliveryCounters().vcpus == count
  }

  /// Where the queue of a server's priority is: each has its own 64 KiB.
  static func offset(_ server: Server, _ priority: Priority) -> Int {
    Int(ENDIndex(server, priority).rawValue) << 16
  }

  /// Gives a connected server a queue.
  func addQueue(
    _ server: Server, _ priority: Priority = 6, from position: QueuePosition = .start
  ) throws(XIVEClientError) -> EventQueue {
    let offset = Self.offset(server, priority)
    let queue = try EventQueue(memory, at: offset, from: position)
    queue.clear()
    try device.configureQueue(
      server, priority, at: Self.memoryAddress + UInt64(offset), from: position)
    return queue
  }

  /// Routes a source and makes it ready.
  func route(_ lisn: LISN, to server: Server, _ priority: Priority = 6, eisn: EISN)
    throws(XIVEClientError)
  {
    try device.configureSource(lisn, to: server, priority, eisn: eisn)
    try device.setPQ(of: lisn, to: .reset)
  }
}

extension EventQueue {
  /// All entries that are there.
  mutating func all() -> [EISN] {
    var result: [EISN] = []
    while let eisn = next() { result.append(eisn) }
    return result
  }
}

extension Server: ExpressibleByIntegerLiteral {
  /// Creates a server number from a literal.
  public init(integerLiteral value: UInt32) { self.init(rawValue: value) }
}

extension Priority: ExpressibleByIntegerLiteral {
  /// Creates a priority from a literal.
  /// - Precondition: there is such a priority.
  public init(integerLiteral value: UInt8) {
    guard let priority = Priority(rawValue: value) else { preconditionFailure("priority \(value)") }
    self = priority
  }
}

extension EISN: ExpressibleByIntegerLiteral {
  /// Creates a number from a literal.
  public init(integerLiteral value: UInt32) { self.init(rawValue: value) }
}
