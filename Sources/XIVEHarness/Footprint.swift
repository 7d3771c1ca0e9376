internal import Glibc
internal import SystemCalls

/// What a process holds.
struct Footprint: Hashable {
  /// Bytes of memory that are in use now.
  var residentByteCount: Int
  /// Open descriptors.
  var descriptorCount: Int

  /// Looks at a process.
  /// - Parameter process: its id.
  init?(of process: Int32) {
    let lines = TextFile.contents(of: "/proc/\(process)/status").split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("VmRSS:") }),
      let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }),
      let directory = unsafe opendir("/proc/\(process)/fd")
    else { return nil }
    defer { unsafe closedir(directory) }
    residentByteCount = kilobytes * 1_024
    descriptorCount = -2  // The directory and its parent.
    while unsafe readdir(directory) != nil { descriptorCount += 1 }
  }
}

/// The footprints of the servers over a long run: from its tenth part on they must not grow.
struct FootprintHistory {
  /// Runs shorter than this say nothing.
  private static let leastCycles = 2_000
  /// How much more a server may hold at the end: what an allocator keeps, not what a leak takes.
  private static let byteAllowance = 4 << 20
  private static let descriptorAllowance = 4

  private let cycles: Int?
  private var first: [Footprint] = []
  private var last: [Footprint] = []

  init(cycles: Int?) { self.cycles = cycles }

  /// Looks at the servers at the first tenth of the cycles and at their end, and in between a hundred times.
  mutating func sample(_ stage: Stage, _ progress: Progress) throws {
    guard let cycles, cycles >= Self.leastCycles else { return }
    let warm = cycles / 10
    guard progress.cycles >= warm, progress.cycles % max(1, cycles / 100) == 0 else { return }
    last = stage.devices.compactMap { $0.server.footprint }
    if first.isEmpty { first = last }
    for (early, late) in zip(first, last) {
      let growth = late.residentByteCount - early.residentByteCount
      let descriptors = late.descriptorCount - early.descriptorCount
      if growth > Self.byteAllowance || descriptors > Self.descriptorAllowance {
        throw HarnessFailure.unexpected(
          "the server after \(progress.cycles) cycles",
          expected: "about what it held after \(warm): \(early.text)", seen: late.text)
      }
    }
  }

  /// How it went.
  var text: String {
    zip(first, last).map { "; the server held \($0.text), and at the end \($1.text)" }.joined()
  }
}

extension Footprint {
  fileprivate var text: String {
    "\(residentByteCount / 1_024) KiB and \(descriptorCount) descriptors"
  }
}
