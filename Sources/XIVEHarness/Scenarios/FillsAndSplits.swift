internal import XIVEModel

extension Scenario {
  /// Pages are taken away while they are being filled.
  static let fillsInFlight = Scenario(
    "fills-in-flight", "Pages are zapped while consumers fill them, one by one and in huge ranges.",
    cycles: 60
  ) { stage in
    let device = try stage.serve(ServedShape(sourceCount: 1_024, created: 0...1_023))
    let phb = try stage.phb(4)
    let run = PassthroughRun(LISN(rawValue: 64), to: phb, HardwareIRQ(rawValue: 0), count: 64)
    try stage.step(
      "watch LISN 0x40-0x7f by pages and by huge ranges", expected: "all pages, signed"
    ) {
      var plan = ConsumerPlan()
      plan.isPerPage = true
      try device.watch(WatchedPage.pages(of: 64..<128, device.map), plan, count: 1)
      plan.isPerPage = false
      plan.wantsHugePages = true
      try device.addConsumer(plan)
      try device.settle()
      return "\(device.reads) signatures, none wrong"
    }
    try device.plug(phb, PHBShape(msiCount: 64))
    try stage.cycles("map and unmap 64 sources", expected: "each page as of its time") { _ in
      // Not settled: whoever fills now is overtaken.
      try device.map(run)
      try device.unmap(run, prefault: Bool.random(using: &stage.random))
      if stage.settles() { try device.settle() }
      try device.verify(run.firstLISN)
    }
  }

  /// Consumers take their windows apart meanwhile.
  static let vmaSplit = Scenario(
    "vma-split", "Consumers unmap and remap parts of their windows: addresses keep their sources.",
    cycles: 100
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(6)
    let run = PassthroughRun(LISN(rawValue: 8), to: phb, HardwareIRQ(rawValue: 0), count: 16)
    try stage.step("plug a device, watch LISN 0-31", expected: "all pages, signed") {
      try device.plug(phb, PHBShape(msiCount: 16))
      try device.watch(WatchedPage.pages(of: 0..<32, device.map))
      return "\(device.reads) signatures, none wrong"
    }
    let page = device.map.pageByteCount
    try stage.cycles(
      "map and unmap while windows are split at random places",
      expected: "each address's own source"
    ) { _ in
      for consumer in device.consumers {
        let window = Bool.random(using: &stage.random) ? 4 * page : Region.esb.start
        let first = UInt64.random(in: 0..<60, using: &stage.random)
        let count = UInt64.random(in: 1...4, using: &stage.random)
        consumer.send("split \(window + first * page) \(count * page)")
      }
      try device.map(run)
      try device.unmap(run)
      for consumer in device.consumers { try consumer.awaitAnswer("done") }
      if stage.settles() { try device.settle() }
    }
  }
}
