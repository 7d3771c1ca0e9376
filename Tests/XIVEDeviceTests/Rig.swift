import PagedDevice
import Synchronization
import XIVEModel

@testable import XIVEDevice

/// A device without a file around it, and what consumers do to it.
final class Rig: Sendable {
  static let writer = Opener(id: 1, isWritable: true)
  static let reader = Opener(id: 2, isWritable: false)

  let device: XIVEDevice
  let host = RecordingHost()

  /// Creates a device in which the first sources exist, in PQ state 01.
  init(
    sources: UInt32 = 8, existing: UInt32 = 4, servers: UInt32 = 4, geometry: ESBGeometry = .two4K,
    storeEOI: Bool = false, sabotage: Configuration.Sabotage? = nil,
    watcher: (any EventRouter)? = nil, isTraced: Bool = false, traceCapacity: Int = 16_384
  ) {
    let configuration = Configuration(
      sourceCount: sources, serverCount: servers, geometry: geometry, supportsStoreEOI: storeEOI,
      sabotage: sabotage, isTraced: isTraced, traceCapacity: traceCapacity)
    device = XIVEDevice(configuration, passingEventsTo: watcher)
    device.attach(to: host)
    for source in 0..<existing { create(source) }
  }

  var map: DeviceMap { device.map }

  /// The state bytes of all sources.
  var states: [UInt8] {
    (0..<device.configuration.sourceCount).map {
      device.engine.cells.state(of: LISN(rawValue: $0)).rawValue
    }
  }

  func pq(_ source: UInt32) -> PQ { device.engine.cells.state(of: LISN(rawValue: source)).pq }

  func create(_ source: UInt32, isLSI: Bool = false, isAsserted: Bool = false) {
    // A source beyond the table is a mistake of the test; what it then expects will not be there.
    try? device.createSource(LISN(rawValue: source), isLSI: isLSI, isAsserted: isAsserted)
  }

  func setPQ(_ source: UInt32, _ pq: PQ) { device.perform(.set(pq), on: LISN(rawValue: source)) }

  func offset(_ source: UInt32, _ half: ESBHalf, _ window: ESBWindow = .esb) -> UInt64 {
    let lisn = LISN(rawValue: source)
    return window == .kernel
      ? map.kernelOffset(of: lisn, half) : map.offset(of: .esb(lisn, half))
  }

  /// One exact load of a big-endian value.
  @discardableResult
  func load(_ offset: UInt64, byteCount: Int = 8, by opener: Opener = writer) throws(DeviceError)
    -> UInt64
  {
    var bytes = [UInt8](repeating: 0x5a, count: byteCount)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try device.load(at: offset, into: &raw, by: opener)
    return bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// One exact store.
  func store(
    _ offset: UInt64, _ bytes: [UInt8] = .init(repeating: 0, count: 8), by opener: Opener = writer
  ) throws(DeviceError) {
    try device.store(unsafe bytes.span.bytes, at: offset, by: opener)
  }

  /// The 4,096 bytes that a fill of a page gives.
  func image(_ offset: UInt64) throws(PageFault) -> [UInt8] {
    let image = try device.image(at: offset)
    var bytes = unsafe [UInt8](image.body)
    if let head = image.head {
      for index in head.indices {
        bytes.replaceSubrange(index * 8..<index * 8 + 8, with: head[index].memoryBytes)
      }
    }
    if bytes.count < PageImage.byteCount {
      for index in image.tail.indices { bytes += image.tail[index].memoryBytes }
    }
    return bytes
  }

  /// Whether a fill of a page is answered with an image.
  func resolves(_ offset: UInt64) -> Bool { (try? device.image(at: offset)) != nil }

  func writeBack(_ image: [UInt8], at offset: UInt64) {
    device.writeBack(unsafe image.span.bytes, at: offset)
  }

  /// What the notifier would tell the kernel now, in the order of delivery.
  @discardableResult
  func updates() -> [Update] {
    var updates: [Update] = []
    device.takeUpdates { updates.append(Update($0)) }
    return updates
  }
}

/// Bytes that were delivered to mappings.
struct Update: Hashable, CustomStringConvertible {
  let offset: UInt64
  let bytes: [UInt8]

  var description: String {
    "\(bytes.count) bytes at 0x\(String(offset, radix: 16)): \(bytes.prefix(8))"
  }

  init(offset: UInt64, bytes: [UInt8]) {
    self.offset = offset
    self.bytes = bytes
  }

  init(_ update: PageUpdate) {
    self.init(offset: update.offset, bytes: unsafe [UInt8](update.bytes))
  }

  /// The whole PQ window of a page.
  static func pq(_ pq: PQ, at page: UInt64) -> Update {
    let slot = UInt64(pq.rawValue).bigEndian.memoryBytes
    return Update(
      offset: page + 0x800, bytes: Array([[UInt8]](repeating: slot, count: 128).joined()))
  }
}

/// A host that counts how often it is woken.
final class RecordingHost: DeviceHost {
  private let count = Atomic<Int>(0)

  var wakeUps: Int { count.load(ordering: .sequentiallyConsistent) }

  func updatesAreReady() { count.wrappingAdd(1, ordering: .sequentiallyConsistent) }
}

extension FixedWidthInteger where Self: BitwiseCopyable {
  /// The value's bytes as they lie in memory.
  var memoryBytes: [UInt8] { unsafe withUnsafeBytes(of: self) { unsafe [UInt8]($0) } }
}

extension [UInt8] {
  /// The big-endian value of an 8-byte slot.
  func slot(_ index: Int) -> UInt64 {
    self[index * 8..<index * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Stores a big-endian value into an 8-byte slot.
  mutating func setSlot(_ index: Int, _ value: UInt64) {
    replaceSubrange(index * 8..<index * 8 + 8, with: value.bigEndian.memoryBytes)
  }
}
