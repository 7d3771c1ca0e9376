import Testing
import XIVETestSupport

@Suite("The second router against what was recorded from QEMU")
struct ReferenceRouterVectorTests {
  @Test("The file holds eight runs, with every operation, masked sources and wraps")
  func fileIsComplete() throws {
    let runs = try Vectors.routerSequences
    #expect(runs.count == 8)
    #expect(runs.allSatisfy { $0.steps.count == 150 && $0.queues.count == 14 })
    #expect(runs.contains { $0.sources.contains(where: \.masked) })
    #expect(
      runs.contains { run in
        zip(run.queues, run.finalQueues).contains { $0.toggle != $1.toggle }
      })
  }

  @Test("Every recorded run goes as recorded", arguments: try Vectors.routerSequences.indices)
  func sequences(_ number: Int) throws {
    try ReferenceRouter.replay(try Vectors.routerSequences[number])
  }
}

extension ReferenceRouter: EventPath {
  static func recorded(_ sequence: RouterSequence) -> ReferenceRouter {
    var router = ReferenceRouter(sources: 12, servers: 2, memorySize: memorySize)
    for server in 0..<2 { router.connect(server) }
    for queue in sequence.queues {
      var end = ReferenceEND("vqnb")
      end.queue = UInt64(address(of: queue))
      end.generation = queue.toggle
      end.index = queue.index
      end.target = UInt32(firstNVT + queue.server)
      end.priority = UInt32(queue.priority)
      router.setEND(queue.server * priorities + queue.priority, end.words)
    }
    for source in sequence.sources {
      let end = UInt32(source.server * priorities + source.priority)
      router.setEAS(source.lisn, end: end, data: source.eisn, isMasked: source.masked)
      router.perform(.load, source: source.lisn, .management, at: 0xc00)
    }
    return router
  }

  mutating func perform(_ operation: RouterOperation) -> UInt64? {
    switch operation {
    case .trigger(let source): return perform(.store, source: source, .trigger, at: 0)
    case .load(let source, let offset):
      return perform(.load, source: source, .management, at: offset)
    case .ack(let server): return load(server, view: 2, at: 0x810, size: 2)
    case .setCPPR(let server, let value):
      store(UInt64(value), server, view: 2, at: 0x11, size: 1)
    case .setPending(let server, let priority):
      store(UInt64(priority), server, view: 2, at: 0x812, size: 1)
    }
    return nil
  }

  func ring(of server: Int) -> UInt64 {
    var copy = self
    return copy.load(server, view: 2, at: 0x10, size: 8) ?? 0
  }

  func pq(of source: Int) -> UInt8 { sources.sources[source].pq }

  func position(of queue: RouterSequence.Queue) -> (UInt32, UInt32) {
    let word1 = end(queue.server * Self.priorities + queue.priority)[1]
    return (ReferenceFields.field(9...9, of: word1), ReferenceFields.field(10...31, of: word1))
  }

  func entry(_ index: Int, of queue: RouterSequence.Queue) -> UInt32 {
    ReferenceFields.word(memory, at: Self.address(of: queue) + index * 4)
  }
}
