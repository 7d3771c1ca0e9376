import Glibc
import SystemCalls
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("irqfd", .enabled(if: Requirement.canMount), .hangGuard)
struct IRQFDTests {
  /// A rig with a vCPU, its queue, and the sources 3 and 4, of which 4 is level-sensitive.
  private struct Lines: ~Copyable {
    let rig: DeliveryRig
    let vcpu: VCPU
    var queue: EventQueue

    init() throws {
      let rig = try DeliveryRig(["--sources", "64", "--create", "0-31"])
      let vcpu = try rig.connect(0)
      let queue = try rig.addQueue(0)
      try rig.device.createSource(4, isLSI: true)
      try rig.route(3, to: 0, eisn: 3)
      try rig.route(4, to: 0, eisn: 4)
      self.rig = rig
      self.vcpu = vcpu
      self.queue = queue
    }

    /// The next entry, for which the server may take its time.
    mutating func entry() -> EISN? {
      for _ in 0..<30_000 {
        if let eisn = queue.next() { return eisn }
        MonotonicClock.sleep(nanoseconds: 1_000_000)
      }
      return nil
    }

    func assigned() throws -> UInt64 { try rig.device.injectionCounters().irqfds }
  }

  @Test("An event triggers its source, each time, and at once when it was up before")
  func edge() throws {
    var lines = try Lines()
    let event = try Event()
    event.raise()
    let irqfd = try lines.rig.device.assign(event, to: 3)
    let lisn = irqfd.lisn
    #expect(lisn == 3)
    #expect(lines.entry() == 3)
    try lines.vcpu.endOfInterrupt(3)
    event.raise()
    #expect(lines.entry() == 3)
    #expect(try lines.assigned() == 1)
    #expect(try lines.rig.device.injectionCounters().injected == 2)
    try irqfd.deassign()
    #expect(try lines.assigned() == 0)
    try lines.vcpu.endOfInterrupt(3)
    event.raise()
    #expect(event.wait(milliseconds: 0) == true)
    #expect(lines.queue.next() == nil)
    #expect(try lines.rig.device.pq(of: 3) == .reset)
  }

  @Test("A handle that goes deassigns, and leaves neither descriptors nor a taken event")
  func end() throws {
    var lines = try Lines()
    let event = try Event()
    let resample = try Event()
    let own = try descriptorCount(of: lines.rig.served.path)
    let all = try eventfdCount()
    for _ in 0..<3 {
      let irqfd = try lines.rig.device.assign(event, to: 3)
      #expect(try lines.assigned() == 1)
      #expect(try descriptorCount(of: lines.rig.served.path) == own + 1)
      withExtendedLifetime(irqfd) {}
    }
    for _ in 0..<3 {
      let irqfd = try lines.rig.device.assign(event, resample: resample, to: 4)
      let other = try lines.rig.device.notifyEnds(of: 4, by: resample)
      #expect(try lines.assigned() == 2)
      #expect(try eventfdCount() == all + 3)
      withExtendedLifetime(irqfd) {}
      withExtendedLifetime(other) {}
    }
    #expect(try lines.assigned() == 0)
    #expect(try descriptorCount(of: lines.rig.served.path) == own)
    #expect(try eventfdCount() == all)
    event.raise()
    #expect(lines.queue.next() == nil)
  }

  @Test("The eventfds are the caller's to close: the handle has its own")
  func closed() throws {
    var lines = try Lines()
    let event = try Event()
    func handle() throws -> IRQFD {
      let copy = try OwnedDescriptor(duplicating: event.rawValue)
      return try lines.rig.device.assign(eventfd: copy.rawValue, to: 3)
    }
    let all = try eventfdCount()
    do {
      let irqfd = try handle()
      #expect(try eventfdCount() == all + 1)
      event.raise()
      #expect(lines.entry() == 3)
      withExtendedLifetime(irqfd) {}
    }
    #expect(try lines.assigned() == 0)
  }

  @Test("Lines that share a source are lowered together at its end, and each is told")
  func level() throws {
    var lines = try Lines()
    let events = [try HeldEvent(), try HeldEvent()]
    let resamples = [try HeldEvent(), try HeldEvent()]
    let first = try lines.rig.device.assign(
      events[0].event, resample: resamples[0].event, to: 4)
    let second = try lines.rig.device.assign(
      eventfd: events[1].event.rawValue, resamplefd: resamples[1].event.rawValue, to: 4)
    for event in events { event.event.raise() }
    #expect(lines.entry() == 4)
    for event in events {
      for _ in 0..<30_000 where event.event.wait(milliseconds: 0) {
        MonotonicClock.sleep(nanoseconds: 1_000_000)
      }
    }
    let record = try lines.rig.device.sourceRecord(of: 4)
    #expect(record.isHeldByIRQFDs && !record.isAsserted && record.pq == .pending)
    #expect(resamples[0].event.wait(milliseconds: 0) == false)
    try lines.vcpu.endOfLevelInterrupt(4)
    for resample in resamples {
      #expect(resample.event.wait(milliseconds: 30_000) == true)
      resample.event.lower()
    }
    #expect(try !lines.rig.device.sourceRecord(of: 4).isHeldByIRQFDs)
    #expect(lines.queue.next() == nil)
    events[1].event.raise()
    #expect(lines.entry() == 4)
    #expect(try lines.rig.device.injectionCounters().resampled == 2)
    withExtendedLifetime(first) {}
    withExtendedLifetime(second) {}
  }

  @Test("Who raises a line by number is told of the end as well")
  func notified() throws {
    var lines = try Lines()
    let end = try Event()
    let notification = try lines.rig.device.notifyEnds(of: 4, by: end)
    try lines.rig.device.setLine(of: 4, to: true)
    #expect(lines.entry() == 4)
    try lines.rig.device.setLine(of: 4, to: false)
    #expect(end.wait(milliseconds: 0) == false)
    try lines.vcpu.endOfLevelInterrupt(4)
    #expect(end.wait(milliseconds: 30_000) == true)
    end.lower()
    try notification.deassign()
    try lines.rig.device.setLine(of: 4, to: true)
    #expect(lines.entry() == 4)
    try lines.rig.device.setLine(of: 4, to: false)
    try lines.vcpu.endOfLevelInterrupt(4)
    #expect(end.wait(milliseconds: 0) == false)
    let raw = try lines.rig.device.notifyEnds(of: 4, resamplefd: end.rawValue)
    #expect(try lines.assigned() == 1)
    withExtendedLifetime(raw) {}
  }

  @Test("A handle keeps the vCPU that it was made through connected")
  func connection() throws {
    let lines = try Lines()
    let event = try Event()
    let path = lines.rig.served.path
    func handle() throws(XIVEClientError) -> IRQFD {
      let vcpu = try VCPU(path, server: 5)
      return try vcpu.device.assign(event, to: 3)
    }
    do {
      let irqfd = try handle()
      #expect(
        refusal { () throws(XIVEClientError) in try VCPU(path, server: 5) }
          == .delivery(.serverTaken(5)))
      withExtendedLifetime(irqfd) {}
    }
    #expect(try lines.rig.isDisconnected(from: 1))
  }

  @Test("What could never work is refused with the remedy, and holds nothing")
  func refused() throws {
    let lines = try Lines()
    let event = try Event()
    let other = try Event()
    let memory = lines.rig.memory.descriptor
    func assign(_ event: CInt, _ resample: CInt?, _ lisn: LISN) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in
        if let resample {
          try lines.rig.device.assign(eventfd: event, resamplefd: resample, to: lisn)
        } else {
          try lines.rig.device.assign(eventfd: event, to: lisn)
        }
      }
    }
    let (number, end) = (event.rawValue, other.rawValue)
    let all = try eventfdCount()
    #expect(assign(number, nil, 4) == .injection(.levelSensitive(4)))
    #expect(assign(number, end, 3) == .injection(.message(3)))
    #expect(assign(number, nil, 40) == .notCreated(40))
    #expect(assign(number, end, 64) == .noSuchSource(64, count: 64))
    #expect(assign(memory, nil, 3) == .injection(.noEventfd(3, [memory])))
    #expect(assign(number, memory, 4) == .injection(.noEventfd(4, [number, memory])))
    #expect(assign(-1, nil, 3) == .injection(.irqfd(3, .badFileDescriptor)))
    #expect(assign(-1, end, 4) == .injection(.irqfd(4, .badFileDescriptor)))
    #expect(assign(number, 9_999, 4) == .injection(.irqfd(4, .badFileDescriptor)))
    func notify(_ resample: CInt, _ lisn: LISN) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in
        try lines.rig.device.notifyEnds(of: lisn, resamplefd: resample)
      }
    }
    #expect(notify(end, 3) == .injection(.message(3)))
    #expect(notify(memory, 4) == .injection(.noEventfd(4, [memory])))
    #expect(notify(-1, 4) == .injection(.irqfd(4, .badFileDescriptor)))
    #expect(try eventfdCount() == all)
    #expect(try lines.assigned() == 0)

    let irqfd = try lines.rig.device.assign(event, to: 3)
    #expect(assign(number, nil, 5) == .injection(.irqfd(5, .resourceBusy)))
    #expect(assign(number, end, 4) == .injection(.irqfd(4, .resourceBusy)))
    #expect(try lines.assigned() == 1)
    let reader = try XIVEDescriptor(lines.rig.served.path, isWritable: false)
    #expect(
      refusal { () throws(XIVEClientError) in try reader.assign(other, to: 3) }
        == .injection(.irqfd(3, .badFileDescriptor)))
    withExtendedLifetime(irqfd) {}
  }

  @Test("A server that has gone is an error of deassigning, and none of letting the handle go")
  func gone() throws {
    var served = try ServedDevice(["--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    let events = [try HeldEvent(), try HeldEvent()]
    let first = try device.assign(events[0].event, to: 3)
    let second = try device.assign(events[1].event, to: 4)
    served.signal(SIGKILL)
    #expect(served.exitCode() == 128 + SIGKILL)
    let error: XIVEClientError?
    do throws(XIVEClientError) {
      try first.deassign()
      error = nil
    } catch let failure { error = failure }
    #expect(error?.errno == .socketNotConnected)
    withExtendedLifetime(second) {}
  }

  /// How many eventfds this process has.
  private func eventfdCount() throws -> Int {
    try descriptorCount(of: "anon_inode:[eventfd]")
  }
}

/// An event that fits into an array.
private final class HeldEvent: Sendable {
  let event: Event
  init() throws(Errno) { event = try Event() }
}
