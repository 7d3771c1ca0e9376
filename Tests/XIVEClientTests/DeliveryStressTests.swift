import Synchronization
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

/// Tokens that vCPUs pass on to each other by interrupts: token t is at vCPU v when LISN t * vCPUs + v fires.
private final class TokenRing: Sendable {
  static let vcpus = 4
  static let tokens = 8

  let hops: Mutex<[Int]> = Mutex(Array(repeating: 0, count: tokens))
  let ready = Atomic<Int>(0)
  let finished = Atomic<Int>(0)
  let mistakes: Mutex<[String]> = Mutex([])

  /// Counts a hop of the token whose interrupt came to a vCPU.
  /// - Returns: the source to trigger for the next hop, or nil when the token has made all of them.
  func hop(_ eisn: EISN, at vcpu: Int, of count: Int) -> LISN? {
    let token = Int(eisn.rawValue) / Self.vcpus
    let hop = hops.withLock { hops in
      hops[token] += 1
      return hops[token]
    }
    // A token that is lost never ends; one that came twice is ahead of its place.
    if (token + hop) % Self.vcpus != vcpu || Int(eisn.rawValue) % Self.vcpus != vcpu || hop > count
    {
      mistakes.withLock { $0.append("token \(token), hop \(hop), at vCPU \(vcpu)") }
    }
    guard hop < count else {
      finished.add(1, ordering: .relaxed)
      return nil
    }
    return Self.source(token, at: vcpu + 1)
  }

  static func source(_ token: Int, at vcpu: Int) -> LISN {
    LISN(rawValue: UInt32(token * vcpus + vcpu % vcpus))
  }

  var hasFailed: Bool { mistakes.withLock { !$0.isEmpty } }

  var isFinished: Bool { finished.load(ordering: .relaxed) >= Self.tokens }
}

@Suite("Delivery under load", .enabled(if: Requirement.canMount), .hangGuard)
struct DeliveryStressTests {
  /// What Linux does, until all tokens have arrived. A vCPU that waits in vain for 20 s gives up.
  @Sendable private static func run(
    _ index: Int, _ ring: TokenRing, _ path: String, _ memory: GuestMemory, _ hops: Int
  ) {
    do throws(XIVEClientError) {
      let server = Server(rawValue: UInt32(index))
      let vcpu = try VCPU(path, server: server)
      let offset = DeliveryRig.offset(server, 6)
      var queue = try EventQueue(memory, at: offset)
      try vcpu.device.configureQueue(server, 6, at: DeliveryRig.memoryAddress + UInt64(offset))
      for token in 0..<TokenRing.tokens {
        let lisn = TokenRing.source(token, at: index)
        try vcpu.device.configureSource(lisn, to: server, 6, eisn: EISN(rawValue: lisn.rawValue))
        try vcpu.device.setPQ(of: lisn, to: .reset)
      }
      try vcpu.setCPPR(0xff)
      ring.ready.add(1, ordering: .releasing)
      while ring.ready.load(ordering: .acquiring) < TokenRing.vcpus { Threads.yield() }
      // Each vCPU sends its share of the tokens to the next one.
      for token in stride(from: index, to: TokenRing.tokens, by: TokenRing.vcpus) {
        try vcpu.device.trigger(TokenRing.source(token, at: index + 1))
      }
      var silence = 0
      while !ring.isFinished, !ring.hasFailed, silence < 200 {
        guard vcpu.wait(milliseconds: 100) else {
          silence += 1
          continue
        }
        silence = 0
        guard try vcpu.acknowledge().hasInterrupt else { continue }
        // An event that comes again and again would keep it here.
        while !ring.hasFailed, let eisn = queue.next() {
          let next = ring.hop(eisn, at: index, of: hops)
          try vcpu.endOfInterrupt(LISN(rawValue: eisn.rawValue))
          if let next { try vcpu.device.trigger(next) }
        }
        try vcpu.setCPPR(0xff)
      }
    } catch {
      ring.mistakes.withLock { $0.append("vCPU \(index): \(error)") }
      ring.ready.add(1, ordering: .releasing)
    }
  }

  @Test("vCPUs send each other interrupts: none is lost, none comes twice")
  func tokens() throws {
    let rig = try DeliveryRig(["--create", "0-31", "--max-vcpus", "4"])
    let (path, memory) = (rig.served.path, rig.memory)
    let ring = TokenRing()
    let hops = 500
    Threads.run(TokenRing.vcpus) { Self.run($0, ring, path, memory, hops) }
    #expect(ring.mistakes.withLock { $0 } == [])
    #expect(ring.hops.withLock { $0 } == Array(repeating: hops, count: TokenRing.tokens))
    let counters = try rig.device.deliveryCounters()
    #expect(counters.entries == UInt64(hops * TokenRing.tokens))
    #expect(counters.masked == 0 && counters.undelivered == 0)
    #expect(try rig.isDisconnected(from: 0))
  }
}
