import CXIVE
import Glibc
import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "Allocations while records are made",
  .enabled(
    if: Requirement.canMount && Requirement.has("cc", package: "gcc")
      && !Requirement.isSanitized), .hangGuard)
struct TraceAllocationTests {
  /// How often a process has allocated, which a library that is preloaded into it writes into a file.
  private func count(_ path: String) throws -> UInt64 {
    let file = unsafe open(path, O_RDONLY)
    defer { close(file) }
    var count: UInt64 = 0
    let got = unsafe read(file, &count, MemoryLayout<UInt64>.size)
    try #require(got == MemoryLayout<UInt64>.size)
    return count
  }

  /// Touches 4,000 pages that nobody has in the cache, and loads for a while.
  private func work(_ consumer: inout Consumer) throws {
    try consumer.map(0, at: triggerPage(0), 2_000 << 13)
    try consumer.expect("threads 2 2000 load 0 0 4096 8")
    try consumer.expect("unmap 0")
    try consumer.expect("drop 0 \(triggerPage(0)) \(2_000 << 13)")
    try consumer.expect("hammer 1 100 pread 0 \(managementPage(1) + 0x800)")
  }

  @Test("Fills and loads allocate nothing, though each leaves a record")
  func none() throws {
    let directory = try TemporaryDirectory()
    let library = directory.path + "/allocations.so"
    let source = Built.sourceRoot + "/Tests/EndToEndTests/allocations.c"
    let compiled = try CommandResult([
      Requirement.path(of: "cc") ?? "cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o",
      library, source,
    ])
    try #require(compiled.exitCode == 0, "\(compiled.errors)")
    let file = directory.path + "/count"
    let program = ["/usr/bin/env", "LD_PRELOAD=\(library)", "ALLOCATIONS=\(file)"]
    let device = try ServedDevice(
      ["--sources", "2048", "--create", "0-2047", "--trace"], program: program + ServedDevice.xive)
    var consumer = try Consumer(opening: device.path)
    for _ in 0..<2 { try work(&consumer) }
    let before = try (fills: consumer.counters().fills, next: consumer.traceInfo().next)
    let start = try count(file)
    try #require(start > 100, "the server is counted")
    let rounds = 10
    for _ in 0..<rounds { try work(&consumer) }
    let end = try count(file)
    let after = try (fills: consumer.counters().fills, next: consumer.traceInfo().next)
    #expect(after.fills - before.fills >= UInt64(rounds) * 4_000)
    #expect(after.next - before.next >= UInt64(rounds) * 4_000)
    // Whose threads touch is looked up once a second, in text; one for each fill would be more.
    let fills = after.fills - before.fills
    #expect(end - start < fills, "\(end - start) allocations for \(fills) fills")
  }
}
