import XIVETestSupport

/// One source for each END of two servers, EISN 0x1000 + source, PQ 00; 4 KiB queues one behind the other.
func plainRouter(_ flags: String = "vqnb", connected: Bool = true) -> ReferenceRouter {
  var router = ReferenceRouter(sources: 16, servers: 2, memorySize: 16 * 4096)
  for index in 0..<16 {
    router.setEND(index, plainEND(index, flags).words)
    router.setEAS(index, end: UInt32(index), data: 0x1000 + UInt32(index))
    router.perform(.load, source: index, .management, at: 0xc00)
  }
  for server in 0..<2 {
    router.setNVT(ReferenceRouter.firstNVT + server, isValid: true)
    if connected { router.connect(server) }
  }
  return router
}

func plainEND(_ index: Int, _ flags: String) -> ReferenceEND {
  var end = ReferenceEND(flags)
  end.queueSize = 0
  end.queue = UInt64(index * 4096)
  end.target = UInt32(ReferenceRouter.firstNVT + index / 8)
  end.priority = UInt32(index % 8)
  return end
}

extension ReferenceRouter {
  mutating func trigger(_ source: Int) {
    perform(.load, source: source, .management, at: 0xc00)
    perform(.store, source: source, .trigger, at: 0)
  }

  mutating func setCPPR(_ value: UInt64, of server: Int = 0) {
    store(value, server, view: 2, at: 0x11, size: 1)
  }

  mutating func acknowledge(_ server: Int = 0) -> UInt64? {
    load(server, view: 2, at: 0x810, size: 2)
  }

  /// NSR, CPPR, IPB and PIPR of the OS ring.
  func os(_ server: Int = 0) -> [UInt8] {
    [0x10, 0x11, 0x12, 0x17].map { vcpus[server].registers[$0] }
  }

  /// NSR, CPPR, PIPR of the PHYS ring, IPB of it and of the POOL ring.
  func hv(_ server: Int = 0) -> [UInt8] {
    [0x30, 0x31, 0x37, 0x32, 0x22].map { vcpus[server].registers[$0] }
  }

  func entry(_ index: Int, of end: Int) -> UInt32 {
    ReferenceFields.word(memory, at: end * 4096 + index * 4)
  }
}
