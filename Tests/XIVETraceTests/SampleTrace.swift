import TraceRecords
import XIVEClient
import XIVEModel
import XIVETrace

/// Makes a trace of a machine that never was: cold faults, hot-plug cycles, a prober that gets SIGBUS, an interrupt
/// storm, lost records. The same every time.
struct SampleTrace {
  static let geometry = DeviceGeometry(
    sourceCount: 8_192, serverCount: 8, pageShift: 12, pagesPerSource: 2, supportsStoreEOI: true)
  static let vcpus: [UInt32] = [4_101, 4_102, 4_103, 4_104]
  static let prober: UInt32 = 5_200
  static let server: UInt32 = 900

  private let map = geometry.map
  private var records: [TraceRecord] = []
  private var time: UInt64 = 5_000_000_000
  private var state: UInt64 = 42

  /// Makes a trace of at least so many records.
  static func make(records count: Int) -> Trace {
    var maker = SampleTrace()
    maker.begin()
    while maker.records.count < count { maker.cycle() }
    maker.end()
    return Trace(device: maker.device, records: maker.records)
  }

  private var device: TracedDevice {
    let sources: [ClosedRange<UInt32>] = [
      0...63, 0x1000...0x1001, 0x1100...0x1107, 0x1300...0x147f,
    ]
    return TracedDevice(
      geometry: Self.geometry,
      segments: sources.map {
        offset($0.lowerBound, .trigger)..<offset($0.upperBound, .management) + 4_096
      } + [Region.tima.start..<Region.tima.start + 4 * 4 * 4_096],
      path: "/run/xive",
      start: .init(monotonic: 4_000_000_000, realtime: 1_789_000_000_000_000_000))
  }

  private mutating func random(_ range: Range<UInt64>) -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return range.lowerBound + (state >> 33) % UInt64(range.count)
  }

  private func offset(_ lisn: UInt32, _ half: ESBHalf) -> UInt64 {
    map.offset(of: .esb(LISN(rawValue: lisn), half))
  }

  /// Appends a record that begins a little after the last one.
  private mutating func add(
    _ kind: TraceKind, _ thread: UInt32, takes: Range<UInt64> = 1..<2,
    _ change: (inout TraceRecord) -> Void
  ) {
    time += random(200..<4_000)
    var record = TraceRecord(kind, sequence: UInt64(records.count), time: time)
    record.threadID = thread
    record.processID = thread == Self.prober ? thread : thread == Self.server ? 899 : 4_100
    let slow = random(0..<400) == 0 ? 40 as UInt64 : 1
    record.queueTime = UInt32(random(300..<2_500) * slow)
    record.serviceTime = UInt32(random(takes) * slow)
    change(&record)
    records.append(record)
  }

  private mutating func name(_ thread: UInt32, _ text: String) {
    let bytes = Array(text.utf8) + [UInt8](repeating: 0, count: 16)
    let words = [0, 8].map { start in
      (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64($1 * 8) }
    }
    add(.task, thread) { record in
      record.offset = words[0]
      record.value = words[1]
    }
  }

  private mutating func fill(
    _ lisn: UInt32, _ half: ESBHalf, _ thread: UInt32, _ cause: TraceCause,
    _ result: TraceResult = .ok, irq: UInt16? = nil, bytes: UInt64 = 4_096
  ) {
    let offset = offset(lisn, half)
    add(.fill, thread, takes: 2_000..<9_000) { record in
      record.offset = offset
      record.value = bytes
      record.number = lisn
      record.half = UInt8(half.rawValue)
      record.cause = cause
      record.result = result
      record.generation = 3
      if result == .ok { record.backing = .ipi }
      if let irq { record.hardware = (0, irq) }
    }
  }

  private mutating func fillPHB(_ irq: UInt16) {
    guard let phb = PHBIndex(rawValue: 0) else { return }
    let offset = map.offset(of: .phb(phb, HardwareIRQ(rawValue: irq)))
    add(.fill, Self.prober, takes: 2_000..<9_000) { record in
      record.offset = offset
      record.value = 4_096
      record.hardware = (0, irq)
      record.cause = .firstTouch
    }
  }

  private mutating func begin() {
    for (place, thread) in Self.vcpus.enumerated() { name(thread, "CPU \(place)/TCG") }
    name(Self.prober, "<b>&\"probe\"")
    name(Self.server, "xive")
    add(.plug, Self.server, takes: 20_000..<60_000) { record in
      record.hardware = (0, 0)
      record.value = 128 | 4 << 32
    }
    for lisn in 0..<64 as Range<UInt32> {
      fill(lisn, .management, Self.vcpus[Int(lisn % 4)], .firstTouch)
      if lisn % 8 == 0 { fill(lisn, .trigger, Self.vcpus[Int(lisn % 4)], .firstTouch) }
    }
    for irq in 0..<16 as Range<UInt16> { fillPHB(irq) }
    fill(0x1000, .management, Self.vcpus[0], .firstTouch)
    fill(0x1100, .management, Self.vcpus[1], .unknown)
  }

  private mutating func cycle() {
    let first = 0x1300 + UInt32(random(0..<4)) * 64
    hotplug(first, .map, irq: 0)
    for _ in 0..<40 { touch(first, .map) }
    interrupts(first)
    if random(0..<3) == 0 { probe() }
    if random(0..<6) == 0 { reclaim() }
    time += random(1_000_000..<4_000_000)
    hotplug(first, .unmap, irq: nil)
    for _ in 0..<24 { touch(first, .unmap) }
  }

  private mutating func hotplug(_ first: UInt32, _ kind: TraceKind, irq: UInt16?) {
    let offset = offset(first, .trigger)
    let cause: TraceCause = kind == .map ? .map : .unmap
    let began = time
    add(.publish, Self.server) { record in
      record.number = first
      record.value = 64
      if let irq { record.hardware = (0, irq) }
    }
    add(.zap, Self.server, takes: 40_000..<180_000) { record in
      record.offset = offset
      record.value = 128 * 4_096
      record.number = first
      record.cause = cause
    }
    add(kind, Self.server, takes: 90_000..<260_000) { record in
      record.time = began
      record.number = first
      record.value = 64
      if let irq { record.hardware = (0, irq) }
    }
    fill(first, .trigger, 0, .prefault, bytes: 16 * 4_096)
  }

  private mutating func touch(_ first: UInt32, _ cause: TraceCause) {
    // Low vectors are busier than high ones.
    let vector = UInt32(min(random(0..<64), random(0..<64)))
    let half: ESBHalf = random(0..<5) == 0 ? .trigger : .management
    let irq = cause == .map ? UInt16(vector) : nil
    fill(first + vector, half, Self.vcpus[Int(random(0..<4))], cause, irq: irq)
  }

  private mutating func interrupts(_ first: UInt32) {
    for _ in 0..<60 {
      let lisn = first + UInt32(min(random(0..<64), random(0..<64)))
      let thread = Self.vcpus[Int(lisn % 4)]
      add(.trigger, Self.server) { record in
        record.number = lisn
        record.pq = (.reset, .pending)
      }
      add(.forward, Self.server) { $0.number = lisn }
      let offset = offset(lisn, .management)
      add(.eoi, thread) { record in
        record.number = lisn
        record.pq = (.pending, .reset)
      }
      add(.load, thread, takes: 1_500..<6_000) { record in
        record.offset = offset
        record.number = lisn
        record.half = 1
        record.accessByteCount = 8
      }
    }
  }

  private mutating func probe() {
    for _ in 0..<8 {
      let lisn = 0x1400 + UInt32(random(0..<512))
      let result: TraceResult = lisn < 0x1480 ? .ok : .absent(.notCreated)
      fill(lisn, .management, Self.prober, lisn < 0x1480 ? .firstTouch : .none, result)
      if result != .ok { fill(lisn, .management, Self.prober, .again, result) }
    }
  }

  private mutating func reclaim() {
    for lisn in 0..<16 as Range<UInt32> {
      fill(lisn, .management, Self.vcpus[Int(lisn % 4)], .reclaim)
    }
    add(.gap, 0) { $0.value = 17 }
  }

  private mutating func end() {
    add(.fence, Self.server) { record in
      record.hardware = (0, 0)
      record.value = 1
    }
    add(.unplug, Self.server, takes: 90_000..<400_000) { record in
      record.hardware = (0, 0)
      record.value = 64
    }
  }
}
