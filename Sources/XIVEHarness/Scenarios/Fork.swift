internal import XIVEModel

extension Scenario {
  /// Consumers fork: the copies inherit mappings that a later zap must reach as well.
  static let fork = Scenario(
    "fork", "Consumers fork with live mappings, and zaps reach the copies too.", cycles: 100
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(0)
    let run = PassthroughRun(LISN(rawValue: 0), to: phb, HardwareIRQ(rawValue: 0), count: 8)
    try stage.step("watch LISN 0-7", expected: "all pages, signed") {
      try device.watch(WatchedPage.pages(of: 0..<8, device.map))
      return "\(device.reads) signatures, none wrong"
    }
    try stage.step(
      "fork each consumer twice, a device mapped in between", expected: "copies that read"
    ) {
      for consumer in device.consumers { try device.fork(consumer) }
      try device.plug(phb, PHBShape(msiCount: 8))
      try device.map(run)
      for consumer in device.consumers { try device.fork(consumer) }
      try device.settle()
      return "\(2 * device.consumers.count) copies, which have read every page"
    }
    try stage.cycles("unmap and map", expected: "each page as of its time, in all of them") { _ in
      try device.unmap(run)
      if stage.settles() { try device.settle() }
      try device.map(run)
      if stage.settles() { try device.settle() }
      try device.verify(run.firstLISN)
    }
  }
}
