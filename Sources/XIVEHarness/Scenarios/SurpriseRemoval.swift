internal import XIVEModel

extension Scenario {
  /// A device is pulled while it is mapped and everybody touches it.
  static let surpriseRemoval = Scenario(
    "surprise-removal", "A mapped device is pulled while consumers load from it and store to it.",
    cycles: 150
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(5)
    let shape = PHBShape(msiCount: 8)
    let run = PassthroughRun(LISN(rawValue: 40), to: phb, HardwareIRQ(rawValue: 0), count: 8)
    try stage.step(
      "watch LISN 0x28-0x2f and the device's own pages, and store to them",
      expected: "all pages, signed"
    ) {
      var storing = ConsumerPlan()
      storing.stores = true
      try device.watch(
        WatchedPage.pages(of: 40..<48, device.map)
          + WatchedPage.pages(of: phb, count: 8, device.map), storing, storing: true)
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles(
      "plug, map, fire, and pull", expected: "nothing of it left, and no event lost"
    ) { _ in
      try device.plug(phb, shape)
      try device.map(run)
      let (lisn, target) = try stage.any(of: run.pairs)
      // Two messages: one is delivered with the EOI, the other is still queued when the device goes.
      try device.perform(.trigger, target)
      try device.endOfInterrupt(lisn)
      try device.perform(.trigger, target)
      if stage.settles() { try device.settle() }
      try device.unplug(phb)
      if stage.settles() { try device.settle() }
      for lisn in run.lisns { try device.verify(lisn) }
      try device.verifyEvents()
    }
  }
}
