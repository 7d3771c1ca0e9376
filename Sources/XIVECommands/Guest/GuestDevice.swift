internal import Synchronization
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// A PCI device that is passed through: fires its interrupts, comes and goes.
final class GuestDevice: Sendable {
  let phb: PHBIndex
  /// Its messages, on consecutive numbers, then its line if it has one.
  let sources: [GuestSource]
  private let device: XIVEDescriptor
  /// Odd while the device is not there.
  private let phase = Atomic<Int>(0)
  /// The phase that its thread knows of.
  private let knownPhase = Atomic<Int>(0)

  init(_ path: String, _ phb: PHBIndex, _ sources: [GuestSource]) throws(XIVEClientError) {
    self.phb = phb
    self.sources = sources
    device = try XIVEDescriptor(path)
  }

  /// Fires until a run is over.
  func work(_ run: GuestRun) throws(XIVEClientError) {
    while !run.isOver {
      let phase = phase.load(ordering: .sequentiallyConsistent)
      knownPhase.store(phase, ordering: .sequentiallyConsistent)
      // Devices have pauses, too.
      let hasFired = phase & 1 == 0 ? try fireAll(run) : false
      if !hasFired { MonotonicClock.sleep(nanoseconds: 50_000) }
    }
  }

  /// Fires each interrupt that may be fired.
  /// - Returns: whether there was one.
  private func fireAll(_ run: GuestRun) throws(XIVEClientError) -> Bool {
    var hasFired = false
    for source in sources where run.claim(source) {
      do throws(XIVEClientError) {
        try fire(source)
        hasFired = true
      } catch .noSuchInterrupt {
        // Unplugged.
        run.giveBack(source)
        return false
      }
    }
    return hasFired
  }

  private func fire(_ source: GuestSource) throws(XIVEClientError) {
    switch source.origin {
    case .message(let phb, let irq): try device.perform(.trigger, phb: phb, irq: irq)
    case .line(let phb, let irq): try device.perform(.assert, phb: phb, irq: irq)
    case .vcpu: break
    }
  }

  // MARK: - Hot-plug

  /// Plugs the device, and has its driver unmask the interrupts.
  func plug() throws(XIVEClientError) {
    let messages = sources.prefix(while: \.isMessage)
    let lines = sources[messages.endIndex...]
    try device.addPHB(
      phb, PHBShape(msiCount: UInt32(messages.count), lsiCount: UInt32(lines.count)))
    for run in [messages, lines] {
      guard let first = run.first else { continue }
      let irq = HardwareIRQ(rawValue: UInt16(run.startIndex))
      try device.map(PassthroughRun(first.lisn, to: phb, irq, count: UInt32(run.count)))
    }
    for source in sources { try device.setPQ(of: source.lisn, to: .reset) }
  }

  /// Plugs the device again after ``pullOut()``.
  func plugAgain() throws(XIVEClientError) {
    try plug()
    phase.wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  /// Takes the device away while it fires; its driver does not know.
  func pullOut() throws(XIVEClientError) {
    try device.removePHB(phb)
    phase.wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  /// Takes the device away, at rest.
  func unplug() throws(XIVEClientError) { try device.removePHB(phb) }

  /// Whether its thread knows that it has gone, and fires no more.
  private var hasStopped: Bool {
    let known = knownPhase.load(ordering: .sequentiallyConsistent)
    return known & 1 != 0 && known == phase.load(ordering: .sequentiallyConsistent)
  }

  /// Whether neither the device nor a handler of its interrupts does anything.
  var isQuiet: Bool { hasStopped && !sources.contains(where: \.isHandled) }

  /// Events that have been sent and not taken.
  var outstanding: Int { sources.reduce(0) { $0 + $1.outstanding } }
}
