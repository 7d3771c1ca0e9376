internal import XIVEClient
internal import XIVEModel

extension Scenario {
  /// Anything at any time.
  static let random = Scenario(
    "random", "A seeded mix of everything, checked against a simple model of what must be true.",
    cycles: 2_000
  ) { stage in
    let device = try stage.serve(ServedShape(sourceCount: 64, created: 0...31))
    let places = HotplugOperation.Places(
      sources: 0...31, phbs: try (0..<4).map { try stage.phb($0) })
    try stage.step(
      "watch LISN 0-15 and the own pages of four PHBs", expected: "all pages, signed"
    ) {
      try device.watch(
        WatchedPage.pages(of: 0..<16, device.map)
          + places.phbs.flatMap { WatchedPage.pages(of: $0, count: 10, device.map) })
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles("one operation after the other", expected: "what the model says") { cycle in
      let operation = HotplugOperation.random(device.model, places, using: &stage.random)
      try device.perform(operation)
      for lisn in operation.lisns { try device.verify(lisn) }
      try device.verify(places.source(&stage.random))
      if cycle % 64 == 63 {
        for lisn in device.model.sources.keys.sorted() { try device.verify(lisn) }
        try device.verifyEvents()
        try device.settle()
      }
    }
  }
}

extension OperatedDevice {
  /// Does one thing, to the device and to the model.
  fileprivate func perform(_ operation: HotplugOperation) throws {
    switch operation {
    case .plug(let phb, let shape): try plug(phb, shape)
    case .unplug(let phb): try unplug(phb)
    case .map(let run, let prefault): try map(run, prefault: prefault)
    case .unmap(let run, let prefault): try unmap(run, prefault: prefault)
    case .perform(let what, let target):
      try perform(what, target)
      try verify(target)
    case .trigger(let lisn): try trigger(lisn)
    case .endOfInterrupt(let lisn): try endOfInterrupt(lisn)
    case .setPQ(let lisn, let pq): try setPQ(of: lisn, to: pq)
    case .mapTooMuch(let run): try refuse(run)
    }
  }

  /// A run that fails at its last source leaves the first as it was.
  private func refuse(_ run: PassthroughRun) throws {
    stage.note("map too much: \(run.text)")
    var refusal: XIVEClientError?
    do throws(XIVEClientError) { try descriptor.map(run) } catch { refusal = error }
    try stage.expect(
      "the answer to \(run.text), the last of which is mapped", .cannotMap(run), refusal)
  }
}
