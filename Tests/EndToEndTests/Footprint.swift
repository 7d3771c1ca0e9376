import CXIVE
import FoundationEssentials
import Testing
import XIVETestSupport

/// Tests that take all that the machine has: one after the other, or each would only show how slow the others are.
@Suite(
  "Stress with real processes", .serialized, .enabled(if: Requirement.canMount), .hangGuard)
struct StressTests {}

/// What a server has of the system, and what others hold of it.
struct Footprint: Hashable, CustomStringConvertible {
  let descriptors, threads: Int
  let irqfds, vcpus: UInt64

  /// Looks at a server, whose own word is asked by a consumer of it.
  init(of device: borrowing ServedDevice, by witness: inout Consumer) throws {
    func entries(_ name: String) throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/\(device.processID)/\(name)").count
    }
    descriptors = try entries("fd")
    threads = try entries("task")
    let injection: xive_info_injection = try witness.info(XIVE_INFO_INJECTION)
    irqfds = injection.irqfds
    vcpus = try witness.delivery().vcpus
  }

  var description: String {
    "\(descriptors) descriptors, \(threads) threads, \(irqfds) irqfds, \(vcpus) vCPUs"
  }
}

extension ServedDevice {
  /// Waits until a server has what it had: what processes held goes a moment after they went.
  /// - Returns: what it has in the end.
  func settled(at footprint: Footprint, by witness: inout Consumer) throws -> Footprint {
    var now = try Footprint(of: self, by: &witness)
    for _ in 0..<6_000 where now != footprint {
      try witness.expect("sleep 10")
      now = try Footprint(of: self, by: &witness)
    }
    return now
  }
}

/// How long a random test with real processes goes on; `XIVE_TEST_SECONDS=600` for a long run.
enum RandomTests {
  /// Milliseconds.
  static let milliseconds =
    1_000 * (Requirement.environment("XIVE_TEST_SECONDS").flatMap(Int.init) ?? 8)
}

/// What a guest's traffic came to (see `traffic.h` of the consumer).
struct TrafficReport {
  private let words: [Substring: Int]

  /// Reads the answer to `traffic-end`.
  init(_ answer: String) throws {
    guard answer.hasPrefix("ok ") else { throw SupportFailure("traffic: \(answer)") }
    let pairs = answer.dropFirst(3).split(separator: " ").map { $0.split(separator: "=") }
    words = Dictionary(uniqueKeysWithValues: pairs.map { ($0[0], Int($0[1]) ?? -1) })
  }

  /// A number by its name.
  subscript(_ name: String) -> Int { words[name[...]] ?? -1 }

  /// Events of each kind that were taken.
  var taken: [Int] { ["ipi", "page", "message", "edge", "level", "line"].map { self[$0] } }
}

extension Consumer {
  /// Brings traffic to account.
  mutating func endTraffic() throws -> TrafficReport {
    try TrafficReport(ask("traffic-end", within: 180_000))
  }
}
