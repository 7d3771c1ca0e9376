internal import Glibc
internal import SystemCalls
internal import XIVEModel

extension Scenario {
  /// A consumer dies while pages are taken from it.
  static let consumerKilled = Scenario(
    "consumer-killed", "A consumer is killed during a zap: nobody else notices.", cycles: 30
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(1)
    let run = PassthroughRun(LISN(rawValue: 0), to: phb, HardwareIRQ(rawValue: 0), count: 16)
    try stage.step("plug a device, watch LISN 0-15", expected: "all pages, signed") {
      try device.plug(phb, PHBShape(msiCount: 16))
      try device.watch(WatchedPage.pages(of: 0..<16, device.map), count: 1)
      return "\(device.reads) signatures, none wrong"
    }
    try stage.cycles(
      "kill a consumer while a device is mapped and unmapped",
      expected: "answers, and the others' pages as of their time"
    ) { _ in
      let victim = try device.addConsumer()
      try device.settle()
      try stage.killing(victim.processID) {
        try device.map(run)
        try device.unmap(run)
      }
      try victim.awaitKilled()
      device.forget(victim)
      try device.map(run)
      try device.settle()
      try device.unmap(run)
      try device.verify(run.firstLISN)
    }
  }

  /// The server dies while it takes pages away.
  static let serverKilled = Scenario(
    "server-killed", "The server is killed during a zap: consumers get SIGBUS, nobody hangs.",
    cycles: 8
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(1)
    let run = PassthroughRun(LISN(rawValue: 0), to: phb, HardwareIRQ(rawValue: 0), count: 16)
    try stage.cycles(
      "kill the server while a device is mapped and unmapped, and start another",
      expected: "SIGBUS or ENOTCONN, no hang, and a device that works"
    ) { _ in
      try device.watch(WatchedPage.pages(of: 0..<16, device.map))
      try device.plug(phb, PHBShape(msiCount: 16))
      try device.map(run)
      try device.settle()
      try device.unmap(run)
      // What consumers have cached stays; what they touch afresh is a SIGBUS.
      device.expectDeath()
      let answer = try stage.killing(device.server.processID) { device.mapUntilDeath(run) }
      stage.note("the operation under way was answered: \(answer)")
      try device.server.awaitKilled()
      // Everybody still reads: nobody waits for the dead server.
      try device.board?.settle()
      try device.closeConsumers()
      try stage.expect("the dead file", "ENOTCONN", device.errorOfAccess())
      try device.server.restart()
      try device.reopen()
    }
  }
}

extension Stage {
  /// Does something while a process is killed, a random moment after it has begun.
  func killing<Value>(_ process: Int32, _ body: () throws -> Value) throws -> Value {
    let delay = UInt64.random(in: 0..<400_000, using: &random)
    let killer = ThreadGroup()
    try killer.start("killer") {
      MonotonicClock.sleep(nanoseconds: delay)
      kill(process, SIGKILL)
    }
    defer { killer.join() }
    return try body()
  }
}
