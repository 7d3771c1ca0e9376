import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Delivery under load", .hangGuard)
struct DeliveryStressTests {
  @Test("Every event ends as one entry that its vCPU reads, whatever else goes on")
  func everythingAtOnce() throws {
    let stress = try DeliveryStress()
    Threads.run(10) { stress.run($0) }
    #expect(stress.mistakes.isEmpty, "\(Seed.comment)")
    try stress.finish()
    for source in UInt32(0)..<DeliveryStress.sourceCount {
      #expect(stress.taken(source) == stress.forwarded(source), "source \(source)")
      #expect(stress.seen(source) == stress.written(source), "source \(source); \(Seed.comment)")
      #expect(try stress.machine.rig.get(stress.managementPage(source)) == 0, "source \(source)")
    }
    try stress.expectNothingPending()
  }
}

/// Sources, devices, vCPUs, a host that takes vCPUs off their threads, a VMM that plugs and unplugs: all at once.
///
/// Servers 0 to 2 run, 3 comes and goes. Sources 0 to 7 are devices of the VMM, 8 to 10 IPIs to the servers that
/// run, 11 is the visitor's. Sources 12 and 13 are mapped to interrupts 0 and 1 of a PHB and unmapped again and
/// again, 14 and 15 to interrupts 2 and 3 for good.
///
/// Each source has a payload that whoever triggers it counts up before: a guest that has taken all of a source's
/// interrupts has seen its last value.
private final class DeliveryStress: Sendable {
  static let sourceCount: UInt32 = 16
  private static let triggerCount = 12_000
  private static let cycleCount = 120
  private static let visitor: UInt32 = 3
  /// How many entries every queue has before it wraps.
  private static let distance = 16

  let machine: Machine
  private let events: EventCounter
  private let payloads = Counts()
  private let seenPayloads = Counts()
  private let takenCounts = Counts()
  /// By server and priority.
  private let readers: [UInt32: Reader]
  private let unfinished = Atomic<Int>(4)
  private let isOver = Atomic<Bool>(false)
  private let problems = Mutex<[String]>([])

  /// A number for each source.
  private struct Counts: ~Copyable, Sendable {
    private let cells: InlineArray<16, Atomic<UInt64>> = .init { _ in Atomic(0) }

    subscript(source: UInt32) -> UInt64 { cells[Int(source)].load(ordering: .relaxed) }

    func add(to source: UInt32) { cells[Int(source)].wrappingAdd(1, ordering: .relaxed) }

    func set(_ source: UInt32, _ value: UInt64) {
      cells[Int(source)].store(value, ordering: .relaxed)
    }
  }

  /// Counts the events that leave the sources, each by itself.
  private final class EventCounter: EventRouter {
    let counts = Counts()

    func forward(_ lisn: LISN) { counts.add(to: lisn.rawValue) }
  }

  init() throws {
    let events = EventCounter()
    let rig = Rig(sources: Self.sourceCount, existing: Self.sourceCount, watcher: events)
    let machine = try Machine(rig, cpus: 4, priorities: [5, 6])
    self.machine = machine
    self.events = events
    let places = (0..<UInt32(4)).flatMap { server in
      [UInt32(5), 6].map { ($0 | server << 3, Machine.queueAddress(server, $0)) }
    }
    readers = Dictionary(
      uniqueKeysWithValues: places.map { place, address in
        // Server 0 has a short queue.
        let byteCount: UInt64 = place == 6 ? 4_096 : Machine.queueSize
        let start = Int(byteCount / 4) - Self.distance
        // What has been read before: the next lap's entries differ from it.
        for index in 0..<start {
          machine.memory.setEntry(1 << 31, at: Int(address - Machine.ram) + index * 4)
        }
        return (
          place, Reader(GuestQueue(machine.memory, at: address, byteCount: byteCount, index: start))
        )
      })
    try start()
  }

  private func start() throws {
    var end = Machine.end(0, 6)
    end.w0 &= ~XIVE_END_W0_QSIZE
    end.queueIndex = end.queueEntryCount - UInt32(Self.distance)
    try machine.setEND(0, 6, end)
    for server in 0..<UInt32(4) {
      for priority: UInt32 in [5, 6] where server << 3 | priority != 6 {
        try machine.setQueue(server, priority, index: 16_384 - UInt32(Self.distance))
      }
    }
    for source in 0..<Self.sourceCount {
      try machine.start(source, on: server(of: source), source % 4 == 1 ? 5 : 6, eisn: source)
    }
    try machine.rig.addPHB()
    for irq: UInt16 in [2, 3] {
      try machine.rig.map(12 + UInt32(irq), to: irq)
      try machine.endMessage(12 + UInt32(irq))
    }
    machine.disconnect(Self.visitor)
  }

  private func server(of source: UInt32) -> UInt32 {
    switch source {
    case 8...10: source - 8
    case 11: Self.visitor
    default: source % 3
    }
  }

  // MARK: - What has become of it

  func forwarded(_ source: UInt32) -> UInt64 { events.counts[source] }
  func taken(_ source: UInt32) -> UInt64 { takenCounts[source] }
  func written(_ source: UInt32) -> UInt64 { payloads[source] }
  func seen(_ source: UInt32) -> UInt64 { seenPayloads[source] }
  var mistakes: [String] { problems.withLock { $0 } }

  func managementPage(_ source: UInt32) -> UInt64 { machine.rig.offset(source, .management) }

  /// Takes what became pending while the vCPUs ended, when nothing else goes on: what is there must be announced.
  func finish() throws {
    try machine.connect(Self.visitor)
    // What was announced to it when it went is forgotten; the entries are not.
    for priority: UInt32 in [5, 6] { try readQueue(Self.visitor, priority) }
    for server in 0..<UInt32(4) {
      try machine.setCPPR(server, 0xff)
      while try machine.ring(server) >> 63 == 1 { try takeInterrupt(server) }
    }
  }

  func expectNothingPending() throws {
    let device = machine.rig.device
    for server in 0..<UInt32(4) {
      #expect(try machine.state(server) == 0x00ff_00ff, "server \(server)")
      #expect(device.router.presenter.backlog(of: NVTIndex(Server(rawValue: server))) == 0)
    }
    let isRead = readers.values.allSatisfy { $0.queue.next() == nil }
    #expect(isRead, "an entry is left; \(Seed.comment)")
    let sum = (0..<Self.sourceCount).reduce(0) { $0 + events.counts[$1] }
    #expect(device.events.count == sum)
    #expect(machine.counts.entries == sum)
    #expect(sum > 1_000, "more than the queues' last entries")
    #expect(machine.counts.notified + machine.counts.backlogged == sum)
    #expect(device.watch.guestErrors.sum == 0)
  }

  /// Where a source's events are.
  private func description(of source: UInt32) -> String {
    let server = server(of: source)
    let ends = [UInt32(5), 6].map { (try? machine.end(server, $0).queueIndex) ?? .max }
    let reads = [UInt32(5), 6].map { readers[server << 3 | $0]?.queue.index ?? -1 }
    let hardware = (UInt16(0)..<4).map { machine.rig.hardwareState($0)?.rawValue ?? 0 }
    return """
      source \(source), PQ \(machine.rig.pq(source)), written \(written(source)), seen \(seen(source)), \
      taken \(taken(source)), forwarded \(forwarded(source)); PHB \(hardware); \
      TIMA \(machine.rig.device.router.presenter.tima(of: Server(rawValue: server)).os), \
      backlog \(machine.rig.device.router.presenter.backlog(of: NVTIndex(Server(rawValue: server)))), \
      queues written to \(ends), read to \(reads)
      """
  }

  // MARK: - Threads

  func run(_ thread: Int) {
    do {
      switch thread {
      case 0...2: try runCPU(UInt32(thread))
      case 3: try visit()
      case 4: try scheduleCPUs()
      case 5: try watch()
      case 6: try plug()
      case 7: try produceDevices()
      default: try produce(thread)
      }
    } catch {
      problems.withLock { $0.append("thread \(thread): \(error)") }
    }
    guard thread >= 6 else { return }
    unfinished.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    if thread == 6 { awaitQuiet() }
  }

  /// Lets the vCPUs work until they have taken everything; then all may end.
  private func awaitQuiet() {
    let isQuiet = Threads.sees(within: .seconds(120)) {
      unfinished.load(ordering: .sequentiallyConsistent) == 0
        && (0..<Self.sourceCount).allSatisfy {
          taken($0) == forwarded($0) && seen($0) == written($0)
        }
    }
    if !isQuiet { problems.withLock { $0.append("an event was never taken") } }
    isOver.store(true, ordering: .sequentiallyConsistent)
  }

  private var goesOn: Bool { !isOver.load(ordering: .sequentiallyConsistent) }

  /// Triggers sources of the VMM.
  private func produce(_ thread: Int) throws {
    var random = Seed.generator(stream: 200 + UInt64(thread))
    let sources: [UInt32] = [0, 1, 2, 3, 4, 5, 6, 7, 11]
    for _ in 0..<Self.triggerCount {
      let source = sources[Int(random.next() % 9)]
      // What is queued would only coalesce: mostly lets the guest take some of it.
      for _ in 0..<random.next() % 64 where machine.rig.pq(source) == .queued { Threads.yield() }
      try send(source)
    }
  }

  private func send(_ source: UInt32) throws {
    payloads.add(to: source)
    try machine.trigger(source)
  }

  /// Sends messages of the PHB's interrupts; those of 0 and 1 go to the guest or to the host, as it comes.
  private func produceDevices() throws {
    var random = Seed.generator(stream: 207)
    for _ in 0..<Self.triggerCount {
      let irq = UInt16(random.next() % 4)
      for _ in 0..<random.next() % 64 where machine.rig.hardwarePQ(irq) == .queued {
        Threads.yield()
      }
      if irq >= 2 { payloads.add(to: 12 + UInt32(irq)) }
      try machine.rig.hardware(.trigger, irq)
    }
  }

  /// Maps and unmaps sources, and sees to it that each of their events arrives in between.
  private func plug() throws {
    for cycle in 0..<Self.cycleCount {
      let irq = UInt16(cycle % 2)
      let source = 12 + UInt32(irq)
      try machine.rig.map(source, to: irq)
      // Pending until the guest ends it, although nothing was sent.
      try machine.endMessage(source)
      for _ in 0..<4 {
        payloads.add(to: source)
        try machine.rig.hardware(.trigger, irq)
      }
      try awaitGuest(source)
      try machine.rig.unmap(source, from: irq)
      try machine.endMessage(source)
      for _ in 0..<4 { try send(source) }
      try awaitGuest(source)
    }
  }

  /// An event that its vCPU has not taken in all that time.
  private struct Lost: Error {
    let state: String
  }

  private func awaitGuest(_ source: UInt32) throws {
    guard Threads.sees(within: .seconds(60), { seen(source) == written(source) }) else {
      throw Lost(state: description(of: source))
    }
  }

  /// Takes vCPUs off their threads and puts them back.
  private func scheduleCPUs() throws {
    var random = Seed.generator(stream: 204)
    while goesOn {
      let bits = random.next()
      let server = UInt32(bits % 3)
      let word = try machine.pull(server)
      if word != 0x8000_0400 + UInt64(server) {
        problems.withLock { $0.append("pulled \(word)") }
      }
      for _ in 0..<bits >> 32 & 15 { Threads.yield() }
      try machine.push(server)
    }
  }

  /// Maps the TIMAs, and keeps them as the device tells it.
  private func watch() throws {
    var shown: [UInt64: UInt64] = [:]
    for server in 0..<UInt32(3) {
      let page = machine.rig.tima(server, .os)
      shown[page + 0x10] = try machine.rig.image(page).slot(2)
    }
    func takeUpdates() {
      for update in machine.rig.updates() where update.bytes.count == 8 {
        shown[update.offset] = update.bytes.slot(0)
      }
    }
    while goesOn {
      takeUpdates()
      Threads.yield()
    }
    // The vCPUs may still be about to end.
    let isTrue = Threads.sees(within: .seconds(60)) {
      takeUpdates()
      return (0..<UInt32(3)).allSatisfy { server in
        shown[machine.rig.tima(server, .os) + 0x10] == (try? machine.ring(server))
      }
    }
    if !isTrue { problems.withLock { $0.append("a mapped TIMA shows what is not true") } }
  }

  // MARK: - vCPUs

  /// Waits for interrupts as a VMM's thread does, and takes them.
  private func runCPU(_ server: UInt32) throws {
    let opener = Machine.opener(server)
    while goesOn {
      let bell = Bell()
      if machine.rig.device.isReadable(opener, orWake: PollWaker { bell.ring() }) {
        try takeInterrupt(server)
      } else {
        while !bell.isRung, goesOn { Threads.yield() }
      }
    }
  }

  /// What Linux does with an interrupt.
  ///
  /// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_get_irq`, `xive_irq_eoi`.
  private func takeInterrupt(_ server: UInt32) throws {
    let word = try machine.acknowledge(server)
    if word >> 8 & 0x80 != 0 { try readQueue(server, UInt32(word & 0xff)) }
    try machine.setCPPR(server, 0xff)
  }

  private func readQueue(_ server: UInt32, _ priority: UInt32) throws {
    guard let reader = readers[server << 3 | priority] else {
      problems.withLock { $0.append("server \(server) has no queue \(priority)") }
      return
    }
    while let source = reader.queue.next() { try handle(source) }
  }

  private func handle(_ source: UInt32) throws {
    seenPayloads.set(source, payloads[source])
    takenCounts.add(to: source)
    try machine.endMessage(source)
    guard source < 8, seen(source) % 4 == 0 else { return }
    try send(8 + (server(of: source) + 1) % 3)
  }

  /// Connects a vCPU, takes what came meanwhile, and disconnects it.
  private func visit() throws {
    while goesOn {
      try machine.connect(Self.visitor)
      try machine.setCPPR(Self.visitor, 0xff)
      for _ in 0..<8 {
        for priority: UInt32 in [5, 6] { try readQueue(Self.visitor, priority) }
        Threads.yield()
      }
      machine.disconnect(Self.visitor)
    }
  }
}

/// Where a queue's reader is.
private final class Reader: @unchecked Sendable {
  // @unchecked Sendable: a queue is read by its vCPU's thread, and by others once that has ended.
  var queue: GuestQueue

  init(_ queue: GuestQueue) { self.queue = queue }
}

/// What somebody who waits is woken by.
private final class Bell: Sendable {
  private let rung = Atomic<Bool>(false)

  var isRung: Bool { rung.load(ordering: .acquiring) }

  func ring() { rung.store(true, ordering: .releasing) }
}
