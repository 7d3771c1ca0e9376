internal import CHarness
internal import XIVEClient
internal import XIVEModel

extension Scenario {
  /// A guest whose memory the window is.
  static let kvmGuest = Scenario(
    "kvm-guest", "A KVM guest's vCPU reads signatures in its memory while devices come and go.",
    cycles: 100, needs: [.kvm]
  ) { stage in
    let device = try stage.serve()
    let phb = try stage.phb(8)
    let run = PassthroughRun(LISN(rawValue: 8), to: phb, HardwareIRQ(rawValue: 0), count: 8)
    // Whom the guest triggers by an ioeventfd; nobody else does.
    let bell = LISN(rawValue: 60)
    try stage.step(
      "start a guest that has LISN 0-31 as memory, beside a consumer", expected: "all signatures"
    ) {
      try device.setPQ(of: bell, to: .reset)
      let pages = WatchedPage.pages(of: 0..<32, device.map).filter { $0.isInKernelWindow }
      var guest = ConsumerPlan()
      guest.threads = 1
      guest.guestTriggers = device.map.offset(of: .esb(bell, .trigger))
      try device.watch(pages, guest, count: 1)
      try device.addConsumer()
      try device.settle()
      return "\(device.reads) signatures, none wrong"
    }
    let storesBefore = try device.descriptor.counters().exactStores
    try stage.cycles(
      "plug, map, unmap, unplug under the running guest", expected: "each page as of its time"
    ) { _ in
      try device.plug(phb, PHBShape(msiCount: 8))
      try device.map(run)
      if stage.settles() { try device.settle() }
      if Bool.random(using: &stage.random) { try device.unmap(run) }
      try device.unplug(phb)
      if stage.settles() { try device.settle() }
      for lisn in run.lisns { try device.verify(lisn) }
    }
    try stage.step("look at what the guest triggered", expected: "LISN \(bell) queued") {
      try device.awaitTriggers()
      let stores = try device.descriptor.counters().exactStores - storesBefore
      try stage.expect("its PQ", Shown(PQ.queued), Shown(try device.descriptor.pq(of: bell)))
      return "queued, after \(stores) exact stores for its ioeventfd's signals"
    }
  }
}

extension WatchedPage {
  /// Whether a guest can have it in its memory together with the others: the other window is a terabyte away.
  var isInKernelWindow: Bool { offset >> Region.shift == Region.kernel.rawValue }
}

extension OperatedDevice {
  /// Waits until the guest has triggered its source twice.
  fileprivate func awaitTriggers() throws {
    for _ in 0..<1_000 {
      try stage.look()
      if board?.sum(CHARNESS_TRIGGERS) ?? 0 >= 2 { return }
      try board?.settle()
    }
    throw HarnessFailure.unexpected(
      "the guest's triggers", expected: "two", seen: "\(board?.sum(CHARNESS_TRIGGERS) ?? 0)")
  }
}
