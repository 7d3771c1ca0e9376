import Glibc
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Memory")
struct MemoryTests {
  /// Bytes that this process has in memory of its own.
  ///
  /// Source: `proc(5)`, `/proc/self/statm`: pages resident, less those shared with files.
  static func residentBytes() -> Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [UInt8](repeating: 0, count: 128)
    let count = unsafe fread(&line, 1, line.count, file)
    let words = String(decoding: line.prefix(count), as: UTF8.self).split(separator: " ")
    guard words.count > 2, let all = Int(words[1]), let shared = Int(words[2]) else { return 0 }
    return (all - shared) * 4_096
  }

  // In a process of its own, where no other test allocates.
  @Test(
    "All tables of a device together take no more than 32 bytes a source",
    .enabled(if: !Requirement.isSanitized, "a sanitizer's memory would be counted"))
  func bytesPerSource() async {
    await #expect(processExitsWith: .success) {
      let count: UInt32 = 262_144
      let before = Self.residentBytes()
      let memory = [UInt8](repeating: 1, count: 8 << 20)
      let known = Self.residentBytes() - before
      precondition(known >= memory.count, "this does not see memory that is certainly there")
      let start = Self.residentBytes()
      let device = XIVEDevice(Configuration(sourceCount: count))
      for source in 0..<count {
        try device.createSource(LISN(rawValue: source))
        _ = try device.image(at: device.map.offset(of: .esb(LISN(rawValue: source), .management)))
        device.perform(.trigger, on: LISN(rawValue: source))
      }
      let bytes = Self.residentBytes() - start
      precondition(bytes >= Int(count), "this does not see the tables")
      precondition(bytes <= 32 * Int(count), "\(bytes) bytes for \(count) sources")
    }
  }
}
