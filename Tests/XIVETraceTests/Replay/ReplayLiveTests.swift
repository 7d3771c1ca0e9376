import FoundationEssentials
import Testing
import TraceRecords
import XIVETestSupport
import XIVETrace

@Suite("Replays of real consumers", .enabled(if: Requirement.canMount), .hangGuard)
struct ReplayLiveTests {
  /// What a program reads of a replay.
  private struct Report: Decodable {
    let requests, faults, records, differenceCount: Int
    let isFromTheStart: Bool
    let notCompared: [String: Int]
    let differences: [Difference]
    struct Difference: Decodable {
      let recordedSequence: UInt64?
      let recorded, replayed: String?
    }
  }

  private func replay(_ file: String) throws -> (Int32, Report) {
    let run = try CommandResult.xive("trace", "replay", file, "--json")
    let text = run.output.joined(separator: "\n")
    guard run.errors.isEmpty, !text.isEmpty else { throw SupportFailure("\(run.errors)") }
    return (run.exitCode, try JSONDecoder().decode(Report.self, from: Data(text.utf8)))
  }

  /// Where a source's pages begin in region 1.
  private static func page(_ lisn: UInt64, _ half: UInt64, shift: UInt64) -> UInt64 {
    1 << 40 | (lisn * 2 + half) << shift
  }

  /// Touches, reclaim, holes, exact accesses, write-backs, requests and hot-plug, one after the other.
  private func use(_ path: String, shift: UInt64) throws {
    var consumer = try Consumer(opening: path)
    let size: UInt64 = 1 << shift
    let trigger = Self.page(3, 0, shift: shift)
    let management = Self.page(3, 1, shift: shift)
    try consumer.expect("map 0 0 \(trigger) \(2 * size) rw shared")
    try consumer.expect("load 0 \(size + 0x800) 8")
    _ = try consumer.load(at: management + 0xc00)
    try consumer.store(at: trigger)
    try consumer.expect("load 0 \(size + 0x800) 8")
    try consumer.expect("store 0 0 8 0")
    try consumer.expect("msync 0 0 \(size) sync")
    #expect(try consumer.load(at: management) == 1)
    try consumer.expect("store 0 \(size + 0xd00) 8 2")
    try consumer.expect("msync 0 \(size) \(size) sync")
    // A hole, and then none.
    try consumer.expect("map 1 0 \(Self.page(100, 1, shift: shift)) \(size) rw shared")
    #expect(try !consumer.ask("load 1 2048 8").hasPrefix("ok"))
    try consumer.expect("inline 0 set 2 100 0000000000000000")
    try consumer.expect("attr 0 has 2 100 null")
    try consumer.expect("load 1 2048 8")
    // Given up by the kernel, and touched again.
    try consumer.expect("unmap 1")
    try consumer.expect("drop 0 \(Self.page(100, 1, shift: shift)) \(size)")
    try consumer.expect("map 1 0 \(Self.page(100, 1, shift: shift)) \(size) rw shared")
    try consumer.expect("load 1 2048 8")
    // A device comes, fires, is fenced, and goes.
    try consumer.expect("inline 0 set 0x40 1 08000000020000000000000000000000")
    try consumer.expect("inline 0 set 0x41 3 01000000020000000400000002000000")
    try consumer.expect("load 0 \(size + 0x800) 8")
    try consumer.expect("inline 0 set 0x42 0x100000002 0100000000000000")
    try consumer.expect("inline 0 set 0x42 0x100000000 0400000000000000")
    #expect(try consumer.load(at: management) == .max)
    try consumer.expect("load 0 \(size + 0x800) 8")
    try consumer.expect("inline 0 set 0x42 0x100000000 0500000000000000")
    try consumer.expect("inline 0 set 0x41 3 01000000020000000400000001000000")
    try consumer.expect("load 0 \(size + 0x800) 8")
    try consumer.expect("inline 0 set 0x40 1 00000000000000000000000000000000")
  }

  @Test(
    "Everything that a consumer did gives the same on a fresh device, and what is changed in a trace shows",
    arguments: [("4k", UInt64(12)), ("64k", 16)])
  func consumer(_ pageSize: String, _ shift: UInt64) throws {
    let device = try ServedDevice([
      "--trace", "--tick", "0", "--create", "0-15", "--sources", "256", "--page-size", pageSize,
    ])
    try use(device.path, shift: shift)
    let directory = try TemporaryDirectory()
    let file = directory.path + "/a.xivetrace"
    let recorded = try CommandResult.xive("trace", device.path, "-o", file)
    #expect(recorded.exitCode == 0, "\(recorded.errors)")

    let (code, report) = try replay(file)
    #expect(code == 0 && report.differenceCount == 0, "\(report.differences)")
    // Pages may still be filled in advance when the first of them is touched already.
    let notCompared = report.notCompared.values.reduce(0, +)
    #expect(report.isFromTheStart && notCompared <= 1, "\(report.notCompared)")
    #expect(report.faults == 6 && report.requests >= 21 && report.records > report.requests)

    var trace = try Trace(contentsOf: file)
    for kind in [TraceKind.load, .fill, .eoi, .writeBack, .trigger] {
      let index = try #require(trace.records.firstIndex { $0.kind == kind && $0.cause != .again })
      let old = trace.records[index]
      trace.records[index].generation += 1
      let changed = directory.path + "/b.xivetrace"
      try trace.write(to: changed)
      let (code, report) = try replay(changed)
      #expect(code == 1 && report.differenceCount == 1, "\(kind): \(report.differences)")
      #expect(report.differences.first?.recordedSequence == old.sequence)
      trace.records[index] = old
    }
  }

  @Test("What is no trace, and what is damaged, is told in one line")
  func damage() throws {
    let directory = try TemporaryDirectory()
    let none = try CommandResult.xive("trace", "replay", directory.path + "/none")
    #expect(none.exitCode == 1 && none.errors.count == 1 && none.output == [])
    let other = try CommandResult.xive("trace", "replay", "/etc/passwd")
    #expect(other.exitCode == 1 && other.errors.count == 1 && other.output == [])
  }
}
