internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel

/// What plugs and unplugs at a server.
protocol HotplugTarget {
  /// Has a device's interrupts serve a run of sources.
  func map(_ first: LISN, count: Int, prefault: Bool) throws
  /// Gives the sources their own pages back.
  func unmap(_ first: LISN, count: Int) throws
  /// Pages filled, and ranges dropped, where the server counts them.
  func counts() throws -> (fills: Int, zaps: Int)?
}

/// This program: a PHB that is mapped and unmapped.
final class XIVETarget: HotplugTarget {
  private let descriptor: XIVEDescriptor
  private let phb: PHBIndex

  /// Adds a PHB that is large enough for every case.
  init(_ path: String) throws(XIVEClientError) {
    guard let phb = PHBIndex(rawValue: 0) else { preconditionFailure("PHB 0 is always possible") }
    self.phb = phb
    descriptor = try XIVEDescriptor(path)
    let count = HotplugCase.vectorCounts.max() ?? 1
    try descriptor.addPHB(phb, PHBShape(msiCount: UInt32(count)))
  }

  private func run(_ first: LISN, _ count: Int) -> PassthroughRun {
    PassthroughRun(first, to: phb, HardwareIRQ(rawValue: 0), count: UInt32(count))
  }

  func map(_ first: LISN, count: Int, prefault: Bool) throws {
    try descriptor.map(run(first, count), prefault: prefault)
  }

  func unmap(_ first: LISN, count: Int) throws { try descriptor.unmap(run(first, count)) }

  func counts() throws -> (fills: Int, zaps: Int)? {
    let counters = try descriptor.counters()
    return (Int(clamping: counters.fills), Int(clamping: counters.zaps))
  }
}

/// The C server: the same ranges are dropped and filled, and nothing else happens.
final class BaselineTarget: HotplugTarget {
  private let file: OwnedDescriptor

  /// Opens the file.
  init(_ path: String) throws(Errno) { file = try OwnedDescriptor(opening: path, [.readWrite]) }

  func map(_ first: LISN, count: Int, prefault: Bool) throws {
    try drop(first, count, flags: prefault ? 1 : 0)
  }

  func unmap(_ first: LISN, count: Int) throws { try drop(first, count, flags: 0) }

  func counts() -> (fills: Int, zaps: Int)? { nil }

  /// `BASELINE_ZAP` of the C server: `_IOWR('B', 1, struct zap)`.
  private static let request: UInt32 = 0xc080_4201

  private func drop(_ first: LISN, _ count: Int, flags: UInt32) throws {
    let ranges = HotplugRun(first, count).windows
    var payload: [UInt8] = []
    payload.reserveCapacity(128)
    func append(_ value: some FixedWidthInteger) {
      unsafe withUnsafeBytes(of: value) { unsafe payload.append(contentsOf: $0) }
    }
    append(UInt32(ranges.count))
    append(flags)
    for range in ranges {
      append(range.lowerBound)
      append(UInt64(range.count))
    }
    payload += [UInt8](repeating: 0, count: 128 - payload.count)
    try file.control(Self.request, &payload)
  }
}

/// Where the pages of a run of sources are.
struct HotplugRun {
  /// In the window of the in-kernel device, then in that of all sources.
  let windows: [Range<UInt64>]

  /// Finds the pages; the number of sources does not matter.
  init(_ first: LISN, _ count: Int) {
    let map = DeviceMap(pageShift: 12, sourceCount: 1 << 20, serverCount: 1)
    let starts = [map.kernelOffset(of: first, .trigger), map.offset(of: .esb(first, .trigger))]
    windows = starts.map { $0..<$0 + UInt64(count) * 2 * map.pageByteCount }
  }
}
