import CFuse3
import Testing
import XIVETestSupport

@testable import DeviceFile

/// How long random tests go on: `XIVE_FUZZ_ITERATIONS` from the environment, else a short run.
let fuzzIterations = Requirement.environment("XIVE_FUZZ_ITERATIONS").flatMap { Int($0) } ?? 2_000

/// Messages that no kernel would send.
struct Garbage {
  var random: SplitMix64

  init(stream: UInt64) {
    var seeds = Seed.generator(stream: stream)
    random = SplitMix64(seed: seeds.next())
  }

  mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  /// A number at one of the edges where decoders stumble.
  mutating func edge() -> UInt64 {
    let edges: [UInt64] = [
      0, 1, 8, 40, 80, 4_095, 4_096, 1 << 20, 1 << 31, 1 << 32 - 1, 1 << 62, 1 << 63, .max,
    ]
    return edges[below(edges.count)] &+ random.next() % 3 &- 1
  }

  mutating func message() -> [UInt8] {
    let data = bytes([0, 8, 16, 4_096][below(4)])
    var message: [UInt8]
    switch below(6) {
    case 0: return bytes(below(200))
    case 3:
      message =
        Message.poll(
          handle: edge(), waiters: edge(), events: UInt32(truncatingIfNeeded: edge())
        ).bytes
    case 1:
      message = Message.read(at: edge(), UInt32(truncatingIfNeeded: edge()), isExact: true).bytes
    case 2:
      message = Message.read(at: edge(), UInt32(truncatingIfNeeded: edge()), isExact: false).bytes
    default: message = Message.write(at: edge(), data, flags: Int32(below(8))).bytes
    }
    switch below(6) {
    case 0: message = Array(message.prefix(below(message.count + 1)))
    case 1: message += bytes(below(64))
    case 2: for byte in rawBytes(edge()) { message[below(message.count)] = byte }
    case 3:
      message.replaceSubrange(40 + 16..<40 + 20, with: rawBytes(UInt32(truncatingIfNeeded: edge())))
    default: break
    }
    // Half of them tell their true length, so that more than the first check is tried.
    if message.count >= 4, below(2) == 0 {
      message.replaceSubrange(0..<4, with: rawBytes(UInt32(message.count)))
    }
    return message
  }
}

@Suite("Decoding garbage")
struct WireFuzzTests {
  @Test("Whatever arrives, what is decoded lies within the message and within a file")
  func garbage() {
    var garbage = Garbage(stream: 100)
    var kinds: Set<String> = []
    for index in 0..<10 * fuzzIterations {
      let message = garbage.message()
      let request = WireRequest(bytes: message)
      kinds.insert(String("\(request)".prefix { $0 != "(" }))
      #expect(isSound(request, of: message.count), "message \(index): \(request); \(Seed.comment)")
    }
    // The generator reaches every branch.
    #expect(
      kinds.isSuperset(of: [
        "pageFill", "exactLoad", "exactStore", "writeBack", "poll", "malformed",
      ]))
  }

  private func isSound(_ request: WireRequest, of count: Int) -> Bool {
    let last = UInt64(Int64.max)
    switch request {
    case .pageFill(let offset, let size):
      return size > 0 && size <= 1 << 20 && size % 4_096 == 0 && offset % 4_096 == 0
        && offset <= last - UInt64(size)
    case .exactLoad(let offset, let size, _):
      return size >= 0 && size <= 1 << 20 && offset <= last - UInt64(size)
    case .exactStore(let offset, let data, _, _), .writeBack(let offset, let data):
      return data.lowerBound == 80 && data.upperBound == count
        && offset <= last - UInt64(data.count)
    case .interrupt, .other: return count >= 40
    case .poll: return count >= 64
    case .control(_, let input): return input.lowerBound == 72 && input.upperBound == count
    case .malformed: return true
    }
  }
}
