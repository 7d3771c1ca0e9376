internal import CBench
internal import DeviceClient
internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel

/// A source of a served device that is accessed by calls and through a pointer that traps.
final class PointedSource {
  private let device: XIVEDescriptor
  /// For accesses by the calls alone.
  private let file: OwnedDescriptor
  private let offset: UInt64
  private let pages: MappedRegion
  private let management: Int
  private let server: BenchServer

  private static let lisn = LISN(rawValue: 7)
  /// A load that resets PQ, so that the next trigger is forwarded: an operation with all its effects.
  private static let setReset = 0xc00

  init() throws(BenchFailure) {
    let server = try BenchServer.xive(sources: 64)
    do {
      let device = try XIVEDescriptor(server.path)
      pages = try device.mapSource(Self.lisn, access: .trapped)
      offset = device.map.offset(of: .esb(Self.lisn, .trigger))
      file = try OwnedDescriptor(opening: server.path, [.readWrite, .direct])
      management = Int(device.map.pageByteCount)
      self.device = device
    } catch { throw .system(server.path, error) }
    self.server = server
  }

  /// Measures loads that reset PQ.
  func measureLoads(_ count: Int, _ access: (PointedSource) throws -> Void) throws(BenchFailure)
    -> [Double]
  {
    try checked(from: .queued, to: .reset) { try repeated(count, access) }
  }

  /// Measures triggers, more than one.
  func measureStores(_ count: Int, _ access: (PointedSource) throws -> Void) throws(BenchFailure)
    -> [Double]
  {
    try checked(from: .reset, to: .queued) { try repeated(count, access) }
  }

  /// Measures the same load after a bare fault, both together: the pause makes it slower than one that follows another.
  func measureLoadsAfterFaults(_ count: Int) throws(BenchFailure) -> [Double] {
    let offset = offset + UInt64(management + Self.setReset)
    return try checked(from: .queued, to: .reset) {
      try afterFaults(count, isStore: false, at: offset)
    }
  }

  /// Measures the same store after a bare fault, both together.
  func measureStoresAfterFaults(_ count: Int) throws(BenchFailure) -> [Double] {
    try checked(from: .reset, to: .queued) {
      try afterFaults(count, isStore: true, at: offset)
    }
  }

  private func afterFaults(_ count: Int, isStore: Bool, at offset: UInt64) throws -> [Double] {
    var access = cbench_access(fd: file.rawValue, is_store: isStore, offset: offset)
    return try unsafe counted(server.path, count) { unsafe cbench_fault(&access, $0, $1) }
  }

  private func repeated(_ count: Int, _ access: (PointedSource) throws -> Void) throws -> [Double] {
    try (0..<count).map { _ in
      let start = MonotonicClock.nanoseconds
      try access(self)
      return Double(MonotonicClock.nanoseconds - start)
    }
  }

  /// Makes sure that the device has had the accesses that are measured: a fault that nobody turns into one is faster.
  private func checked(from before: PQ, to after: PQ, _ body: () throws -> [Double])
    throws(BenchFailure) -> [Double]
  {
    let samples: [Double]
    let seen: PQ?
    do {
      _ = try device.setPQ(of: Self.lisn, to: before)
      samples = try body()
      seen = try device.pq(of: Self.lisn)
    } catch let failure as BenchFailure { throw failure } catch {
      throw .system(server.path, error)
    }
    guard seen == after else { throw .lostAccesses(server.path) }
    return samples
  }

  static func loadExactly(_ source: PointedSource) throws {
    var value: UInt64 = 0
    _ = try unsafe withUnsafeMutableBytes(of: &value) { bytes throws(Errno) in
      try unsafe source.file.read(
        into: bytes, at: source.offset + UInt64(source.management + setReset))
    }
  }

  static func loadByPointer(_ source: PointedSource) {
    _ = source.pages.load(at: source.management + setReset)
  }

  static func storeExactly(_ source: PointedSource) throws {
    _ = try unsafe withUnsafeBytes(of: UInt64(0)) { bytes throws(Errno) in
      try unsafe source.file.write(bytes, at: source.offset)
    }
  }

  static func storeByPointer(_ source: PointedSource) { source.pages.store(0, at: 0) }
}

/// Has C measure so many times.
func counted(
  _ what: String, _ count: Int, _ body: (Int, UnsafeMutablePointer<UInt64>?) -> CInt
) throws(BenchFailure) -> [Double] {
  var samples = [UInt64](repeating: 0, count: count)
  let status = unsafe samples.withUnsafeMutableBufferPointer { unsafe body(count, $0.baseAddress) }
  guard status == 0 else { throw .system(what, Errno(rawValue: -status)) }
  return samples.map { Double($0) }
}
