internal import XIVEModel

extension Scenario {
  /// The numbers of a device that went are the next one's at once.
  static let recycle = Scenario(
    "recycle",
    "A re-plug gives the same numbers to another device, or to another of its interrupts.",
    cycles: 150
  ) { stage in
    let device = try stage.serve()
    let phbs = try (1...3).map { try stage.phb($0) }
    try stage.step(
      "watch LISN 0x10-0x17 and the own pages of three PHBs", expected: "all pages, signed"
    ) {
      try device.watch(
        WatchedPage.pages(of: 16..<24, device.map)
          + phbs.flatMap { WatchedPage.pages(of: $0, count: 12, device.map) })
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles(
      "plug another device on the same numbers", expected: "never a page of the one before"
    ) { cycle in
      // Its place, its size and its first interrupt differ from those of the one before.
      let phb = phbs[cycle % phbs.count]
      let count = UInt32.random(in: 8...12, using: &stage.random)
      let first = UInt16.random(in: 0...UInt16(count - 8), using: &stage.random)
      let run = PassthroughRun(
        LISN(rawValue: 16), to: phb, HardwareIRQ(rawValue: first), count: 8)
      try device.plug(phb, PHBShape(msiCount: count))
      try device.map(run, prefault: Bool.random(using: &stage.random))
      try device.fireAndEnd(run)
      if stage.settles() { try device.settle() }
      if Bool.random(using: &stage.random) { try device.unmap(run) }
      try device.unplug(phb)
      for lisn in run.lisns { try device.verify(lisn) }
      try device.verifyEvents()
    }
  }
}
