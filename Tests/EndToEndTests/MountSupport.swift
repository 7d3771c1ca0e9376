import CXIVE
import XIVETestSupport

/// The trigger page of a source in region 1 of a device with pages of 4 KiB.
func triggerPage(_ lisn: UInt64) -> UInt64 { 1 << 40 | lisn << 13 }

/// The management page of a source in region 1 of a device with pages of 4 KiB.
func managementPage(_ lisn: UInt64) -> UInt64 { triggerPage(lisn) + 0x1000 }

/// A page of region 1 as the kernel's window shows it.
func kernelAlias(_ page: UInt64) -> UInt64 { page - 1 << 40 + 0x4000 }

/// What the image of a page shows where a load has a side effect.
let allOnes = UInt64.max

/// What the device has done: the first fields of `struct xive_info_counters`.
struct Counters {
  let fills, refusedFills, exactLoads, exactStores, mappedStores, liveUpdates, events: UInt64
  let guestErrors: UInt64

  fileprivate init(_ info: xive_info_counters) {
    fills = info.fills
    refusedFills = info.refused_fills
    exactLoads = info.exact_loads
    exactStores = info.exact_stores
    mappedStores = info.mapped_stores
    liveUpdates = info.live_updates
    events = info.events
    guestErrors = info.guest_errors
  }
}

extension Consumer {
  /// Maps a part of the device file, shared.
  mutating func map(
    _ mapping: Int, at offset: UInt64, _ byteCount: UInt64 = 0x1000, _ protection: String = "rw"
  ) throws {
    try expect("map \(mapping) 0 \(offset) \(byteCount) \(protection) shared")
  }

  /// Loads 8 bytes from a mapping, where a page is expected.
  mutating func mapped(_ mapping: Int, _ offset: UInt64) throws -> UInt64 {
    let answer = try expect("load \(mapping) \(offset) 8")
    guard let value = UInt64(answer.dropFirst(2), radix: 16) else {
      throw SupportFailure("no number: \(answer)")
    }
    return value
  }

  /// Stores 8 bytes to a mapping.
  mutating func storeMapped(_ mapping: Int, _ offset: UInt64, _ value: UInt64 = 0) throws {
    try expect("store \(mapping) \(offset) 8 \(value)")
  }

  /// Waits until a mapping shows a value; the answer is `ok` and the time, or `timeout` and what it shows.
  mutating func await(_ mapping: Int, _ offset: UInt64, _ value: UInt64) throws -> Bool {
    try ask("await \(mapping) \(offset) 8 \(value) 10000").hasPrefix("ok")
  }

  /// Waits until the stores to a mapping have taken effect.
  mutating func synchronize(_ mapping: Int, _ byteCount: UInt64 = 0x1000) throws {
    try expect("msync \(mapping) 0 \(byteCount) sync")
  }

  /// Reads PQ of a source by an exact load.
  mutating func pq(_ lisn: UInt64) throws -> UInt64 { try load(at: managementPage(lisn) + 0x800) }

  /// Sets PQ of a source by an exact load.
  mutating func setPQ(_ lisn: UInt64, _ pq: UInt64) throws {
    _ = try load(at: managementPage(lisn) + 0xc00 + pq << 8)
  }

  /// Waits until PQ of a source is a value: for stores that nobody synchronizes.
  mutating func awaitPQ(_ lisn: UInt64, _ value: UInt64) throws -> Bool {
    for _ in 0..<5_000 {
      if try pq(lisn) == value { return true }
      try expect("sleep 1")
    }
    return false
  }

  /// What the device has done so far.
  mutating func counters() throws -> Counters {
    let hex = Array(try expect("inline 0 get 0x50 1 -").utf8)
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: hex.count - 1, by: 2) {
      bytes.append(UInt8(String(decoding: hex[index...index + 1], as: UTF8.self), radix: 16) ?? 0)
    }
    guard bytes.count >= MemoryLayout<xive_info_counters>.size else {
      throw SupportFailure("too short: \(hex.count) digits")
    }
    return unsafe Counters(
      bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: xive_info_counters.self) })
  }
}
