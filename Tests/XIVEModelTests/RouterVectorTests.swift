import Testing
import XIVEModel
import XIVETestSupport

@Suite("The router against what was recorded from QEMU")
struct RouterVectorTests {
  @Test("Every recorded run goes as recorded", arguments: try Vectors.routerSequences.indices)
  func sequences(_ number: Int) throws {
    try RoutedController.replay(try Vectors.routerSequences[number])
  }
}

extension RoutedController: EventPath {
  static func recorded(_ sequence: RouterSequence) throws -> RoutedController {
    let controller = RoutedController(sources: 12, servers: 2, memorySize: memorySize)
    for server in 0..<2 { controller.connect(server) }
    for queue in sequence.queues {
      let priority = try #require(Priority(rawValue: UInt8(queue.priority)))
      let server = Server(queue.server)
      var end = END(notifying: server, priority, queueAddress: UInt64(address(of: queue)))
      end.generation = queue.toggle
      end.queueIndex = queue.index
      let words = [end.w0, end.w1, end.w2, end.w3, end.w4, end.w5, end.w6, end.w7]
      controller.setEND(Int(ENDIndex(server, priority).rawValue), words)
    }
    for source in sequence.sources {
      let end = ENDIndex(rawValue: UInt32(source.server * 8 + source.priority))
      controller.router.setEAS(
        of: LISN(rawValue: UInt32(source.lisn)),
        to: EAS(to: end, eisn: EISN(rawValue: source.eisn), isMasked: source.masked))
      controller.perform(.load, source: source.lisn, .management, at: 0xc00)
    }
    return controller
  }

  func perform(_ operation: RouterOperation) -> UInt64? {
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

  func ring(of server: Int) -> UInt64 { load(server, view: 2, at: 0x10, size: 8) }

  func position(of queue: RouterSequence.Queue) -> (UInt32, UInt32) {
    let index = ENDIndex(rawValue: UInt32(queue.server * 8 + queue.priority))
    let end = router.end(at: index)
    return (end.generation, end.queueIndex)
  }

  func entry(_ index: Int, of queue: RouterSequence.Queue) -> UInt32 {
    word(at: Self.address(of: queue) + index * 4)
  }
}
