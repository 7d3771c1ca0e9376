internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel

/// A served file with connected vCPUs, each with a queue and a source that is routed there.
final class BenchVCPUs {
  private let server: BenchServer
  private let memory: GuestMemory
  private(set) var all: [BenchVCPU] = []

  fileprivate static let priority = Priority.allCases[6]

  /// The served file.
  var path: String { server.path }

  /// Starts a server and connects vCPUs.
  init(count: Int) throws(BenchFailure) {
    server = try BenchServer.xive(sources: count)
    do {
      memory = try GuestMemory(byteCount: count * EventQueue.byteCount)
      for number in 0..<count { all.append(try connect(number)) }
    } catch { throw .system(server.path, error) }
  }

  private func connect(_ number: Int) throws -> BenchVCPU {
    let lisn = LISN(rawValue: UInt32(number))
    let vcpu = try VCPU(server.path, server: Server(rawValue: UInt32(number)))
    if number == 0 { try vcpu.device.addMemory(memory, slot: 0, at: 0) }
    let offset = number * EventQueue.byteCount
    try vcpu.device.configureQueue(vcpu.server, Self.priority, at: UInt64(offset))
    try vcpu.device.configureSource(lisn, to: vcpu.server, Self.priority, eisn: EISN(lisn))
    _ = try vcpu.device.setPQ(of: lisn, to: .reset)
    try vcpu.setCPPR(0xff)
    return BenchVCPU(vcpu, try EventQueue(memory, at: offset), lisn)
  }

  /// Another descriptor of the file.
  func open() throws(BenchFailure) -> XIVEDescriptor {
    do { return try XIVEDescriptor(path) } catch { throw .system(path, error) }
  }
}

/// One vCPU and what a guest does on it. It belongs to one thread.
final class BenchVCPU {
  private let vcpu: VCPU
  private var queue: EventQueue
  /// Its source, whose events say their own number.
  let lisn: LISN

  fileprivate init(_ vcpu: consuming VCPU, _ queue: consuming EventQueue, _ lisn: LISN) {
    self.vcpu = vcpu
    self.queue = queue
    self.lisn = lisn
  }

  /// For waiting.
  var rawValue: CInt { vcpu.rawValue }

  /// Has its source be an LSI, whose line irqfds may raise.
  func makeLevelSensitive() throws(XIVEClientError) {
    try vcpu.device.createSource(lisn, isLSI: true)
    try vcpu.device.configureSource(lisn, to: vcpu.server, BenchVCPUs.priority, eisn: EISN(lisn))
    _ = try vcpu.device.setPQ(of: lisn, to: .reset)
  }

  /// Assigns an eventfd to its source.
  func assign(_ event: borrowing Event) throws(XIVEClientError) -> IRQFD {
    try vcpu.device.assign(event, to: lisn)
  }

  /// Assigns an eventfd to its source, an LSI, and one that is told of the ends of its interrupts.
  func assign(_ event: borrowing Event, resample: borrowing Event) throws(XIVEClientError) -> IRQFD
  {
    try vcpu.device.assign(event, resample: resample, to: lisn)
  }

  /// Waits for the next entry of its queue by looking at the memory.
  /// - Returns: when it was there, in nanoseconds; nil when it is another's, or does not come.
  func entryTime() -> UInt64? {
    let limit = MonotonicClock.nanoseconds + 5_000_000_000
    while true {
      if let eisn = queue.next() { return eisn == EISN(lisn) ? MonotonicClock.nanoseconds : nil }
      guard MonotonicClock.nanoseconds < limit else { return nil }
    }
  }

  /// Ends an interrupt whose entry has been read, and lets the next one through.
  func end() throws(XIVEClientError) {
    try vcpu.endOfInterrupt(lisn)
    try open()
  }

  /// Ends the interrupt of a level-sensitive source.
  func endLevel() throws(XIVEClientError) { _ = try vcpu.device.endOfInterrupt(lisn) }

  /// Lets the next interrupt through.
  func open() throws(XIVEClientError) { try vcpu.setCPPR(0xff) }

  /// Asks for an attribute, as a VMM does again and again: where its queue is.
  func askQueue() throws(XIVEClientError) {
    _ = try vcpu.device.queueState(vcpu.server, BenchVCPUs.priority)
  }

  /// Triggers its own source.
  func trigger() throws(XIVEClientError) { try vcpu.device.trigger(lisn) }

  /// Takes the interrupt.
  /// - Returns: whether there was one.
  func acknowledge() throws(XIVEClientError) -> Bool {
    try vcpu.acknowledge().priority == BenchVCPUs.priority
  }

  /// Reads the queue, ends the interrupt, and lets the next one through.
  /// - Returns: whether there was one entry, the source's.
  func finish() throws(XIVEClientError) -> Bool {
    let isThere = queue.next() == EISN(lisn) && queue.next() == nil
    try vcpu.endOfInterrupt(lisn)
    try vcpu.setCPPR(0xff)
    return isThere
  }
}

extension EISN {
  /// The number that a source's events have here: its own.
  init(_ lisn: LISN) { self.init(rawValue: lisn.rawValue) }
}
