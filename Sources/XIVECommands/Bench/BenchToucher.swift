internal import ArgumentParser
internal import SystemCalls
internal import SystemPackage

/// `xive bench toucher`: a consumer in a process of its own, told on standard input what to do.
///
/// `map OFFSET BYTES` and `unmap` are answered with `done`, `touch` with the time of its start and of its end.
struct BenchToucherCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "toucher", abstract: "Touch pages when told to (a part of the benchmarks).",
    shouldDisplay: false)

  @Argument(help: "The device file.") var path: String

  func run() throws {
    try reporting {
      let file = try OwnedDescriptor(opening: path, [.readWrite])
      // Until somebody asks, the kernel takes a mounted file for empty.
      _ = try file.status()
      while try serve(file) {}
    }
  }

  /// Maps, does what it is told, and unmaps.
  /// - Returns: false at the end of the input.
  private func serve(_ file: borrowing OwnedDescriptor) throws -> Bool {
    guard let line = readLine() else { return false }
    let words = line.split(separator: " ")
    guard words.count == 3, words[0] == "map", let offset = UInt64(words[1]),
      let byteCount = Int(words[2])
    else { throw ValidationError("'\(line)': no command") }
    let region = try MappedRegion(file, offset: offset, byteCount: byteCount, isWritable: true)
    say("done")
    while readLine() == "touch" { touch(region) }
    say("done")
    return true
  }

  private func touch(_ region: borrowing MappedRegion) {
    let start = MonotonicClock.nanoseconds
    for offset in stride(from: 0, to: region.byteCount, by: 4_096) {
      _ = region.load(at: offset)
    }
    say("\(start) \(MonotonicClock.nanoseconds)")
  }

  private func say(_ line: String) {
    print(line)
    flushOutput()
  }
}

/// Such a process; ended with its owner.
final class BenchToucher {
  private let path: String
  private var process: ChildProcess

  /// Starts it.
  init(_ path: String) throws(BenchFailure) {
    self.path = path
    do {
      process = try ChildProcess(
        MountTable.realPath("/proc/self/exe"), ["bench", "toucher", path], inOwnGroup: true)
    } catch { throw .system("xive bench toucher", error) }
  }

  /// Maps part of the file.
  func map(_ range: Range<UInt64>) throws(BenchFailure) {
    process.send("map \(range.lowerBound) \(range.count)")
    _ = try answer()
  }

  /// Unmaps it again.
  func unmap() throws(BenchFailure) {
    process.send("unmap")
    _ = try answer()
  }

  /// Has several of them touch all pages that they have mapped, at once.
  /// - Returns: nanoseconds from the start of the first to the end of the last.
  static func touch(_ touchers: ArraySlice<BenchToucher>) throws(BenchFailure) -> Double {
    for toucher in touchers { toucher.process.send("touch") }
    var start = UInt64.max
    var end: UInt64 = 0
    for toucher in touchers {
      let times = try toucher.answer().split(separator: " ").compactMap { UInt64($0) }
      guard times.count == 2 else { throw .lostConsumer(toucher.path) }
      start = min(start, times[0])
      end = max(end, times[1])
    }
    return Double(end - start)
  }

  private func answer() throws(BenchFailure) -> String {
    guard let line = process.line(within: 20_000) else { throw .lostConsumer(path) }
    return line
  }
}
