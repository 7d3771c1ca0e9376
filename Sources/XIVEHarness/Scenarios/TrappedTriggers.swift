internal import XIVEModel

extension Scenario {
  /// Operations with an effect, on pages that come and go.
  static let trappedTriggers = Scenario(
    "trapped-triggers",
    "Consumers trigger through trapped windows without a pause: never what served before.",
    cycles: 100, needs: [.trappedWindows]
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(13)
    let run = PassthroughRun(LISN(rawValue: 8), to: phb, HardwareIRQ(rawValue: 2), count: 4)
    try stage.step("trigger LISN 8-11 by pointers", expected: "triggers, which sources drop") {
      var plan = ConsumerPlan()
      plan.triggers = true
      try device.watch(
        WatchedPage.pages(of: 8..<12, device.map).filter { $0.half == .trigger }, plan)
      for lisn in run.lisns { try device.verify(lisn) }
      return "\(device.stores) triggers"
    }
    try stage.cycles(
      "plug, map, unmap or pull", expected: "interrupts that nobody triggers once they are unmapped"
    ) { _ in
      try device.plug(phb, PHBShape(msiCount: 6))
      // Queued already: triggers change nothing, before and after it is mapped.
      for (_, target) in run.pairs { try device.setPQ(of: target, to: .queued) }
      try device.map(run)
      if stage.settles() { try device.settle() }
      for (lisn, target) in run.pairs {
        try device.verify(lisn)
        try device.verify(target)
      }
      if Bool.random(using: &stage.random) {
        try device.unmap(run)
        // Ready: the first trigger that still reached it would be an event for the host.
        for (_, target) in run.pairs { try device.setPQ(of: target, to: .reset) }
      }
      // Each has triggered once more: the sources, pending since they were unmapped, are queued.
      if device.model.sources[run.firstLISN]?.server == nil { try device.settleTriggered(run) }
      for (_, target) in run.pairs { try device.verify(target) }
      try device.unplug(phb)
      try device.settleTriggered(run)
      try device.verifyEvents()
    }
  }
}

extension OperatedDevice {
  /// Waits until every watcher has triggered every source of a run, and looks at them.
  fileprivate func settleTriggered(_ run: PassthroughRun) throws {
    try settle()
    for lisn in run.lisns {
      model.trigger(lisn)
      try verify(lisn)
    }
  }
}
