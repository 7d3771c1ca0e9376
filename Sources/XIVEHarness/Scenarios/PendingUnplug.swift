internal import XIVEClient
internal import XIVEModel

extension Scenario {
  /// What becomes of PQ, in every state that a source and an interrupt can have.
  static let pendingUnplug = Scenario(
    "pending-unplug", "Devices come and go with interrupts pending, queued and masked: all of PQ.",
    cycles: 10
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(9)
    let run = PassthroughRun(LISN(rawValue: 20), to: phb, HardwareIRQ(rawValue: 0), count: 2)
    let lisn = LISN(rawValue: 20)
    let message = PassthroughTarget(phb, HardwareIRQ(rawValue: 0))
    let level = PassthroughTarget(phb, HardwareIRQ(rawValue: 1))
    try stage.step("watch LISN 0x14 and 0x15", expected: "all pages, signed") {
      try device.watch(WatchedPage.pages(of: 20..<22, device.map))
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles(
      "every PQ of source and interrupt before the map, every PQ at the unmap or the removal",
      expected: "the states of the contract, each event once"
    ) { _ in
      try device.plug(phb, PHBShape(msiCount: 1, lsiCount: 1))
      for source in PQ.allCases {
        for before in PQ.allCases {
          for after in PQ.allCases {
            try device.setPQ(of: lisn, to: source)
            try device.setPQ(of: message, to: before)
            try device.map(run)
            try device.verify(lisn)
            try device.verify(message)
            try device.setPQ(of: lisn, to: after)
            if stage.random.next() & 1 == 0 {
              try device.unmap(run)
              try device.verify(message)
            } else {
              // Pulled as it is, and another of its kind put in.
              try device.unplug(phb)
              try device.plug(phb, PHBShape(msiCount: 1, lsiCount: 1))
            }
            try device.verify(lisn)
          }
        }
      }
      for isHeld in [true, false] {
        try device.setPQ(of: level, to: .reset)
        try device.perform(isHeld ? .assert : .deassert, level)
        try device.map(run)
        try device.endOfInterrupt(LISN(rawValue: 21))
        try device.verify(LISN(rawValue: 21))
        try device.unmap(run)
        try device.verify(level)
        try device.verify(LISN(rawValue: 21))
      }
      try device.trigger(lisn)
      try device.verify(lisn)
      try device.verifyEvents()
      try device.unplug(phb)
    }
  }
}
