internal import SystemCalls
internal import SystemPackage
internal import XIVEModel

/// A server with its consumers, and what has been measured of it.
final class HotplugServer {
  private let name: String
  private let target: any HotplugTarget
  private let touchers: [BenchToucher]
  /// Tells which pages are in the cache; touches none.
  private let file: OwnedDescriptor
  private let firstLISN: LISN
  private let server: BenchServer
  private var series: [HotplugCase: [HotplugPhase: BenchSeries]] = [:]

  /// Starts this very program.
  static func xive(sources: Int) throws(BenchFailure) -> HotplugServer {
    let name = "xive with \(sources) sources"
    return try HotplugServer(name, BenchServer.xive(sources: sources), sources) { path in
      try XIVETarget(path)
    }
  }

  /// Starts the C server; the pages are those of so many sources.
  static func baseline(_ program: String, sources: Int) throws(BenchFailure) -> HotplugServer {
    try HotplugServer(program, BenchServer(program), sources) { path in try BaselineTarget(path) }
  }

  private init(
    _ name: String, _ server: BenchServer, _ sources: Int,
    _ makeTarget: (String) throws -> any HotplugTarget
  ) throws(BenchFailure) {
    self.name = name
    self.server = server
    // In the middle of the table, where all cases fit.
    firstLISN = LISN(rawValue: UInt32(sources / 4))
    let count = HotplugCase.consumerCounts.max() ?? 1
    var touchers: [BenchToucher] = []
    for _ in 0..<count { touchers.append(try BenchToucher(server.path)) }
    self.touchers = touchers
    do {
      file = try OwnedDescriptor(opening: server.path, [.readWrite])
      target = try makeTarget(server.path)
    } catch { throw .system(name, error) }
  }

  /// What was measured in a phase.
  subscript(item: HotplugCase, phase: HotplugPhase) -> BenchSeries {
    series[item]?[phase] ?? BenchSeries()
  }

  /// Measures one turn, and has counters and the page cache confirm that what was measured happened.
  func measure(_ item: HotplugCase, round: Int, _ plan: HotplugPlan) throws(BenchFailure) {
    let run = HotplugRun(firstLISN, item.vectors)
    let consumers = touchers[..<item.consumers]
    for consumer in consumers { try consumer.map(run.windows[0]) }
    let cycles = plan.cycles(item)
    let before = try counts()
    var times: [HotplugTimes] = []
    for _ in 0..<cycles { times.append(try cycle(item, consumers, run)) }
    if let before, let after = try counts() { try check(item, cycles, before, after) }
    for consumer in consumers { try consumer.unmap() }
    guard round > 0 else { return }
    for phase in item.phases {
      series[item, default: [:]][phase, default: BenchSeries()].append(times.map { $0[phase] })
    }
  }

  private func cycle(
    _ item: HotplugCase, _ consumers: ArraySlice<BenchToucher>, _ run: HotplugRun
  ) throws(BenchFailure) -> HotplugTimes {
    if item.isTouched { _ = try BenchToucher.touch(consumers) }
    let map = try timed { [self] in
      try target.map(firstLISN, count: item.vectors, prefault: item.isPrefaulted)
    }
    try expect(item.isPrefaulted ? item.pageCount : 0, run)
    let touch = item.isTouched ? try BenchToucher.touch(consumers) : 0
    let unmap = try timed { [self] in try target.unmap(firstLISN, count: item.vectors) }
    try expect(0, run)
    return HotplugTimes(map: map, touch: touch, unmap: unmap)
  }

  private func timed(_ body: () throws -> Void) throws(BenchFailure) -> Double {
    let start = MonotonicClock.nanoseconds
    do { try body() } catch { throw .system(name, error) }
    return Double(MonotonicClock.nanoseconds - start)
  }

  /// Expects so many pages of each window in the page cache.
  private func expect(_ count: Int, _ run: HotplugRun) throws(BenchFailure) {
    for window in run.windows {
      let found: Int
      do {
        found = try MappedRegion(
          file, offset: window.lowerBound, byteCount: window.count, isWritable: false
        ).residentPageCount
      } catch { throw .system(name, error) }
      // None may be left of what was dropped; of what was pushed the system may have taken some back.
      guard count == 0 ? found == 0 : found > count * 9 / 10 else {
        throw .residentPages(name, expected: count, found: found)
      }
    }
  }

  private func counts() throws(BenchFailure) -> (fills: Int, zaps: Int)? {
    do { return try target.counts() } catch { throw .system(name, error) }
  }

  /// A run costs one zap a window, whatever its length; touched pages are filled once, whoever touches them.
  private func check(
    _ item: HotplugCase, _ cycles: Int, _ before: (fills: Int, zaps: Int),
    _ after: (fills: Int, zaps: Int)
  ) throws(BenchFailure) {
    let zaps = after.zaps - before.zaps
    guard zaps == cycles * 4 else {
      throw .zapCount(name, expected: cycles * 4, found: zaps)
    }
    let touches = !item.isTouched ? 0 : item.isPrefaulted ? 1 : 2
    let fills = after.fills - before.fills
    let expected = cycles * touches * item.pageCount
    guard fills >= expected else { throw .notCold(name, expected: expected, filled: fills) }
  }
}
