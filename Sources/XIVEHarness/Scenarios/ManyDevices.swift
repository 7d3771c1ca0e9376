internal import XIVEModel

extension Scenario {
  /// Twelve devices of messages and level interrupts come and go in a random order.
  static let manyDevices = Scenario(
    "many-devices",
    "Twelve devices with messages and level interrupts come and go in random order.",
    cycles: 60
  ) { stage in
    let device = try stage.serve(ServedShape(created: 0...127))
    let shape = PHBShape(msiCount: 6, lsiCount: 2, supportsStoreEOI: true)
    let slots = try (0..<12).map { number in
      PassthroughRun(
        LISN(rawValue: UInt32(8 * number)), to: try stage.phb(UInt16(number)),
        HardwareIRQ(rawValue: 0), count: 8)
    }
    try stage.step("watch the sources of four of them", expected: "all pages, signed") {
      try device.watch(WatchedPage.pages(of: 0..<32, device.map))
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles(
      "plug, map and fire all, then unmap or pull them", expected: "each page as of its time"
    ) { _ in
      for run in slots.shuffled(using: &stage.random) {
        try device.plug(run.phb, shape)
        try device.map(run)
      }
      if stage.settles() { try device.settle() }
      for run in slots.shuffled(using: &stage.random) {
        try device.fireAndEnd(run.messages(of: shape))
        if Bool.random(using: &stage.random) { try device.unmap(run) }
        try device.unplug(run.phb)
        try device.verify(run.firstLISN)
      }
      if stage.settles() { try device.settle() }
      try device.verifyEvents()
    }
  }
}

extension PassthroughRun {
  /// The part of a run from a PHB's first interrupt on that its messages serve.
  func messages(of shape: PHBShape) -> PassthroughRun {
    PassthroughRun(
      firstLISN, to: phb, firstIRQ,
      count: min(count, shape.msiCount - min(shape.msiCount, UInt32(firstIRQ.rawValue))))
  }
}
