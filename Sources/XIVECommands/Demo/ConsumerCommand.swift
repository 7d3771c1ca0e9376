internal import ArgumentParser
internal import DeviceClient
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// `xive consumer`: what a VMM would do with a source's pages; the demo runs it in a process of its own.
struct ConsumerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consumer",
    abstract: "Map a source's pages, trigger it in every way, touch a hole (a part of the demo).",
    shouldDisplay: false)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "A source that exists.") var lisn: String
  @Argument(help: "A source that does not exist yet.") var hole: String

  func run() throws {
    guard let lisn = OffsetName.number(lisn).flatMap(UInt32.init(exactly:)),
      let hole = OffsetName.number(hole).flatMap(UInt32.init(exactly:))
    else { throw ValidationError("a LISN is a number of 32 bits") }
    try reporting {
      let device = try XIVEDescriptor(path)
      var consumer = DemoConsumer()
      try consumer.usePages(of: LISN(rawValue: lisn), device)
      #if arch(x86_64)
      try consumer.useTrappedPages(of: LISN(rawValue: lisn), device)
      #endif
      try consumer.touchHole(LISN(rawValue: hole), device)
      if consumer.failures > 0 { throw Exit.failed }
    }
  }
}

/// The steps of a consumer, each with what was expected and what was seen.
private struct DemoConsumer {
  private(set) var failures = 0

  private mutating func check(_ isMet: Bool, _ text: String) {
    print("\(isMet ? "ok " : "NOT") \(text)")
    if !isMet { failures += 1 }
  }

  mutating func usePages(of lisn: LISN, _ device: borrowing XIVEDescriptor) throws {
    let size = Int(device.map.pageByteCount)
    let pages = try device.mapSource(lisn)
    for half in ESBHalf.allCases {
      let signature = pages.signature(ofPageAt: Int(half.rawValue) * size)
      check(
        signature?.lisn == lisn.rawValue && signature?.half == half.rawValue,
        "\(half.name) page mapped: its signature says \(signature.map(Self.words) ?? "nothing")")
    }
    try device.setPQ(of: lisn, to: .reset)
    awaitPQ(.reset, pages, size, "SET_PQ_00 by an exact load")
    try device.trigger(lisn)
    awaitPQ(.pending, pages, size, "a trigger by an exact store")
    pages.store(1, at: 0)
    try? pages.synchronize()
    awaitPQ(.queued, pages, size, "a trigger by a mapped store and msync")
    let refired = try device.endOfInterrupt(lisn)
    check(refired, "EOI by an exact load forwards the queued event")
    awaitPQ(.pending, pages, size, "that EOI")
    pages.store(2, at: size + 0xc00)
    awaitPQ(.reset, pages, size, "SET_PQ_00 by a mapped store, delivered by the server's tick")
  }

  /// The same through a pointer that traps: each load and store is done when the instruction is.
  mutating func useTrappedPages(of lisn: LISN, _ device: borrowing XIVEDescriptor) throws {
    let size = Int(device.map.pageByteCount)
    let pages = try device.mapSource(lisn, access: .trapped)
    _ = pages.load(at: size + 0xc00)
    pages.store(0, at: 0)
    checkPQ(.pending, pages.load(at: size + 0x800), "after a trigger, at once")
    pages.store(0, at: 0)
    checkPQ(.queued, pages.load(at: size + 0x800), "after another")
    check(pages.load(at: size) == 1, "through a trapped pointer an EOI forwards the queued event")
    checkPQ(.pending, pages.load(at: size + 0xc00), "by SET_PQ_00, which gives the old one")
  }

  private mutating func checkPQ(_ expected: PQ, _ seen: UInt64, _ when: String) {
    let shown = PQ(rawValue: UInt8(truncatingIfNeeded: seen))
    check(
      seen == UInt64(expected.rawValue),
      "a load through a trapped pointer gives PQ \(shown) \(when)")
  }

  /// Watches PQ in the mapping: it changes without a new fault, soon after the operation.
  private mutating func awaitPQ(
    _ expected: PQ, _ pages: borrowing MappedRegion, _ size: Int, _ cause: String
  ) {
    let start = MonotonicClock.nanoseconds
    var seen = pages.load(at: size + 0x800)
    while seen != UInt64(expected.rawValue), MonotonicClock.nanoseconds - start < 2_000_000_000 {
      seen = pages.load(at: size + 0x800)
    }
    let microseconds = (MonotonicClock.nanoseconds - start) / 1_000
    check(
      seen == UInt64(expected.rawValue),
      "the live mapping shows PQ \(PQ(rawValue: UInt8(truncatingIfNeeded: seen))) "
        + "\(microseconds) us after \(cause)")
  }

  mutating func touchHole(_ lisn: LISN, _ device: borrowing XIVEDescriptor) throws {
    let size = Int(device.map.pageByteCount)
    let touched = size + 0x800
    let pages = try device.mapSource(lisn)
    let offset = device.map.offset(of: .esb(lisn, .management)) + 0x800
    if case .fault(let signal, let where_) = pages.probe(at: touched) {
      check(
        signal == 7 && where_ == touched,
        "LISN \(lisn) does not exist: signal \(signal) (SIGBUS) at device offset "
          + hexadecimal(offset - UInt64(touched) + UInt64(where_)))
    } else {
      check(false, "LISN \(lisn) does not exist, and yet its page can be touched")
    }
    try device.createSource(lisn)
    let again = pages.probe(at: touched)
    check(again == .value(1), "created: the same address gives PQ 01 now (\(again))")
  }

  private static func words(_ signature: PageSignature) -> String {
    "LISN \(LISN(rawValue: signature.lisn)), half \(signature.half), \(signature.backing), "
      + "generation \(signature.generation), offset \(hexadecimal(signature.deviceOffset))"
  }
}
