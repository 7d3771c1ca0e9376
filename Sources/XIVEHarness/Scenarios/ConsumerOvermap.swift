internal import XIVEModel

extension Scenario {
  /// Consumers map devices over their windows themselves.
  static let consumerOvermap = Scenario(
    "consumer-overmap", "Consumers map two devices' own pages over their windows, and back.",
    cycles: 40
  ) { stage in
    let device = try stage.serve()
    let (left, right) = (try stage.phb(10), try stage.phb(11))
    var consumers: [ConsumerProcess] = []
    try stage.step("map windows on LISN 0-31", expected: "the sources' own pages") {
      consumers = try device.addOvermappers(sources: 32)
      for consumer in consumers { try consumer.tell("look") }
      return "them, in \(consumers.count) processes"
    }
    try stage.cycles(
      "plug two devices, overmap them side by side, restore, unplug",
      expected: "the source's own page or the device's, never a hole"
    ) { _ in
      // The same indices stand for other devices, of other sizes and in other places, each time.
      let split = UInt32.random(in: 4...12, using: &stage.random)
      let runs = [
        PassthroughRun(LISN(rawValue: 2), to: left, HardwareIRQ(rawValue: 0), count: split),
        PassthroughRun(
          LISN(rawValue: 2 + split), to: right, HardwareIRQ(rawValue: 1), count: 16 - split),
      ]
      for run in runs {
        try device.plug(run.phb, PHBShape(msiCount: 17))
        try device.mark(run)
      }
      for consumer in consumers {
        for run in runs.shuffled(using: &stage.random) { try device.overmap(run, consumer) }
        if stage.settles() { try consumer.tell("look") }
        try device.refuseOverlap(of: runs[0], consumer)
      }
      for run in runs {
        try device.perform(.trigger, try stage.any(of: run.pairs).1)
        if Bool.random(using: &stage.random) {
          for consumer in consumers { try consumer.tell("unplug \(run.words)") }
          try device.unplug(run.phb)
        } else {
          try device.pullUnder(consumers, run)
        }
      }
      for consumer in consumers where stage.settles() { try consumer.tell("look") }
      for run in runs { try device.verify(run.firstLISN) }
      try device.verifyEvents()
    }
  }

  /// Both ways at once.
  static let mixed = Scenario(
    "mixed", "One device is overmapped in place and by consumers at the same time.", cycles: 60
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(12)
    var consumers: [ConsumerProcess] = []
    try stage.step(
      "watch LISN 0x10-0x17 in place, map windows on LISN 0-15", expected: "all pages, signed"
    ) {
      try device.watch(WatchedPage.pages(of: 16..<24, device.map))
      consumers = try device.addOvermappers(sources: 16)
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles(
      "plug, map half in place and half by consumers, restore, unplug",
      expected: "each page as of its time, in place and over it"
    ) { _ in
      let inPlace = PassthroughRun(
        LISN(rawValue: 16), to: phb, HardwareIRQ(rawValue: 0), count: 8)
      let over = PassthroughRun(LISN(rawValue: 4), to: phb, HardwareIRQ(rawValue: 8), count: 8)
      try device.plug(phb, PHBShape(msiCount: 16))
      try device.mark(over)
      try device.map(inPlace)
      for consumer in consumers { try device.overmap(over, consumer) }
      try device.fireAndEnd(inPlace)
      if stage.settles() { try device.settle() }
      if Bool.random(using: &stage.random) { try device.unmap(inPlace) }
      for consumer in consumers { try consumer.tell("unplug \(over.words)") }
      try device.unplug(phb)
      for lisn in [inPlace.firstLISN, over.firstLISN] { try device.verify(lisn) }
      try device.verifyEvents()
    }
  }
}

extension OperatedDevice {
  /// Has a consumer map a run over its window.
  fileprivate func overmap(_ run: PassthroughRun, _ consumer: ConsumerProcess) throws {
    try consumer.tell("plug \(run.words) \(model.plugs[run.phb] ?? 0)")
  }

  /// Gives interrupts the states by which trapped windows know them.
  fileprivate func mark(_ run: PassthroughRun) throws {
    guard stage.options.access != .mapped else { return }
    let mark = ShownPages.mark(of: run.phb, generation: model.plugs[run.phb] ?? 0)
    for (_, target) in run.pairs { try setPQ(of: target, to: mark) }
  }

  /// A run that lies over part of what is plugged is refused, and nothing changes.
  fileprivate func refuseOverlap(of run: PassthroughRun, _ consumer: ConsumerProcess) throws {
    let crooked = PassthroughRun(
      LISN(rawValue: run.firstLISN.rawValue + 1), to: run.phb, run.firstIRQ, count: run.count)
    consumer.send("plug \(crooked.words) 1")
    try consumer.awaitRefusal()
    consumer.send("unplug \(crooked.words)")
    try consumer.awaitRefusal()
  }

  /// Pulls a device that consumers have over their windows: a touch is a SIGBUS until they restore them.
  fileprivate func pullUnder(_ consumers: [ConsumerProcess], _ run: PassthroughRun) throws {
    for consumer in consumers {
      try consumer.tell("pause \(run.firstLISN.rawValue) \(run.count)")
    }
    try unplug(run.phb)
    for consumer in consumers {
      try consumer.tell("hole \(run.firstLISN.rawValue) \(run.count)")
      try consumer.tell("unplug \(run.words)")
    }
  }
}

extension PassthroughRun {
  /// As a consumer is told it.
  fileprivate var words: String {
    "\(firstLISN.rawValue) \(phb.rawValue) \(firstIRQ.rawValue) \(count)"
  }
}
