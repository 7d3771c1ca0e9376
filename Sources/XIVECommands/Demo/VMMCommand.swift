internal import ArgumentParser
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// `xive vmm`: what a VMM does with devices that come and go; the demo runs it in a process of its own.
struct VMMCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vmm",
    abstract: "Plug, overmap, fire, unplug and re-plug devices (a part of the demo).",
    shouldDisplay: false)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "The first of 16 sources that exist.") var lisn: String

  func run() throws {
    guard let number = OffsetName.number(lisn).flatMap(UInt32.init(exactly:)),
      let one = PHBIndex(rawValue: 0), let other = PHBIndex(rawValue: 1)
    else { throw ValidationError("a LISN is a number of 32 bits") }
    try reporting {
      let vmm = try DemoVMM(path, LISN(rawValue: number))
      try vmm.plug(one, "a device of 16 messages")
      try vmm.handleMessages(of: one)
      try vmm.unplug(one)
      try vmm.plug(other, "another device, on the same numbers")
      try vmm.unplug(other)
      try vmm.overmapByItself(one)
      if vmm.failures > 0 { throw Exit.failed }
    }
  }
}

/// The steps of a VMM, each with what was expected and what was seen.
private final class DemoVMM {
  private static let count: UInt32 = 16

  private let device: XIVEDescriptor
  private let first: LISN
  /// The guest's ESB window: 16 sources, mapped once.
  private let window: GuestWindow
  private(set) var failures = 0

  init(_ path: String, _ first: LISN) throws {
    device = try XIVEDescriptor(path)
    self.first = first
    window = try GuestWindow(device, first..<LISN(rawValue: first.rawValue + Self.count))
    show("before", .ipi, nil)
  }

  private var lisns: [LISN] {
    (0..<Self.count).map { LISN(rawValue: first.rawValue + $0) }
  }

  private func run(_ phb: PHBIndex) -> PassthroughRun {
    PassthroughRun(first, to: phb, HardwareIRQ(rawValue: 0), count: Self.count)
  }

  private func check(_ isMet: Bool, _ text: String) {
    print("\(isMet ? "ok " : "NOT") \(text)")
    if !isMet { failures += 1 }
  }

  /// Shows which page lies at the first source's address, and checks those of all the others.
  private func show(_ when: String, _ backing: PageSignature.Backing, _ phb: PHBIndex?) {
    let halves = ESBHalf.allCases
    let signatures = lisns.flatMap { lisn in halves.map { window.signature(of: lisn, $0) } }
    let isExpected = signatures.allSatisfy { signature in
      signature?.backing == backing && signature?.phb == UInt32(phb?.rawValue ?? 0)
    }
    let address = window.offset(of: first, .management)
    let words = window.signature(of: first, .management).map { signature in
      signature.backing == .phb
        ? "PHB \(signature.phb) irq \(signature.hardwareIRQ), generation \(signature.generation)"
        : "the source's own, generation \(signature.generation)"
    }
    check(
      isExpected,
      "\(when): window + \(hexadecimal(UInt64(address))) shows \(words ?? "nothing"), PQ "
        + pq(of: first))
  }

  private func pq(of lisn: LISN) -> String {
    let value = window.load(at: window.offset(of: lisn, .management) + 0x800)
    return "\(PQ(rawValue: UInt8(truncatingIfNeeded: value)))"
  }

  func plug(_ phb: PHBIndex, _ what: String) throws {
    try device.addPHB(phb, PHBShape(msiCount: Self.count))
    let start = MonotonicClock.nanoseconds
    try device.map(run(phb))
    let microseconds = (MonotonicClock.nanoseconds - start) / 1_000
    show("plugged \(what), overmapped in \(microseconds) us", .phb, phb)
  }

  /// What the guest's driver and the device do: unmask, fire, end, with one message that comes twice.
  func handleMessages(of phb: PHBIndex) throws {
    for lisn in lisns { try device.setPQ(of: lisn, to: .reset) }
    let before = try device.counters().events
    for irq in 0..<UInt16(Self.count) {
      try device.perform(.trigger, phb: phb, irq: HardwareIRQ(rawValue: irq))
    }
    try device.perform(.trigger, phb: phb, irq: HardwareIRQ(rawValue: 0))
    check(
      try device.counters().events == before + UInt64(Self.count),
      "the device fired 16 messages and one more: 16 events, PQ of the first \(stored(first))")
    for lisn in lisns { try endAsLinuxDoes(lisn) }
    check(
      try device.counters().events == before + UInt64(Self.count) + 1,
      "ended by SET_PQ_00, retriggered where Q was set: 1 event more, PQ of the first \(stored(first))"
    )
    try device.endOfInterrupt(first)
  }

  private func stored(_ lisn: LISN) -> String {
    ((try? device.pq(of: lisn)) ?? nil).map { "\($0)" } ?? "-"
  }

  /// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_do_source_eoi`.
  private func endAsLinuxDoes(_ lisn: LISN) throws {
    if try device.setPQ(of: lisn, to: .reset) == .queued { try device.trigger(lisn) }
  }

  func unplug(_ phb: PHBIndex) throws {
    try device.removePHB(phb)
    show("unplugged", .ipi, nil)
  }

  /// The other way: the device file keeps the sources as they are, the VMM maps the PHB's own pages over them.
  func overmapByItself(_ phb: PHBIndex) throws {
    try device.addPHB(phb, PHBShape(msiCount: Self.count))
    try window.plug(run(phb))
    show("overmapped by the consumer, with mmap alone", .phb, phb)
    try window.unplug(run(phb))
    try device.removePHB(phb)
    show("restored", .ipi, nil)
  }
}
