internal import XIVEModel

extension Scenario {
  /// One device comes and goes.
  static let plugUnplug = Scenario(
    "plug-unplug", "One device is plugged, mapped, unmapped and unplugged, while consumers read.",
    cycles: 200
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(3)
    let run = PassthroughRun(LISN(rawValue: 16), to: phb, HardwareIRQ(rawValue: 0), count: 16)
    try stage.step(
      "watch LISN 0x10-0x1f and the device's own pages", expected: "all of them, signed"
    ) {
      try device.watch(
        WatchedPage.pages(of: 16..<32, device.map)
          + WatchedPage.pages(of: phb, count: 16, device.map))
      try stage.look()
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles("plug, map, unmap, unplug", expected: "each page as of its time") { cycle in
      try device.plug(phb, PHBShape(msiCount: 16))
      try device.map(run, prefault: Bool.random(using: &stage.random))
      try device.fireAndEnd(run)
      if stage.settles() { try device.settle() }
      try device.unmap(run, prefault: Bool.random(using: &stage.random))
      // All of them now and then: in a long run most of the time would go there.
      let looked = cycle % 16 == 0 ? run.lisns : [try stage.any(of: run.lisns)]
      for lisn in looked { try device.verify(lisn) }
      try device.unplug(phb)
      if stage.settles() { try device.settle() }
      try device.verifyEvents()
    }
  }
}
