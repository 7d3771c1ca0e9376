internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// A device whose descriptors become readable one by one, and which takes its callers' memory and descriptors.
///
/// - Pages 0 to 3: a counter each 8 bytes. Every exact store adds one, whatever is stored; an exact load takes the
///   count and leaves none. A descriptor that is attached to a counter is readable while it is not 0.
/// - Page 4 exists while a descriptor is open that showed it.
///
/// Requests: ``Request``.
final class Mailboxes: PagedDevice {
  private static let byteCount: UInt64 = 16_384
  private static let shownPage = byteCount..<byteCount + 4_096

  private struct State {
    var counts = [UInt64](repeating: 0, count: Int(byteCount / 8))
    /// The counter of a descriptor, and the descriptor of a counter.
    var counter: [Opener: Int] = [:]
    var opener: [Int: Opener] = [:]
    var wakers: [Opener: PollWaker] = [:]
    var showing: Opener?
    var memory: (any SharedMemory)?
    /// By the caller's own numbers for them.
    var events: [UInt64: any SharedEvent] = [:]
  }

  /// Guards the state; nothing is called under it.
  private let state = Mutex(State())
  private let page = PageBody(repeating: 0)

  func image(at offset: UInt64) throws(PageFault) -> PageImage {
    let isShown = state.withLock { $0.showing != nil }
    guard offset < Self.byteCount || (isShown && Self.shownPage.contains(offset)) else {
      throw PageFault()
    }
    return PageImage(body: page)
  }

  func writeBack(_ image: RawSpan, at offset: UInt64) {}

  func load(at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener)
    throws(DeviceError)
  {
    guard offset < Self.byteCount, offset & 7 == 0, bytes.byteCount == 8 else { throw .invalid }
    let count = state.withLock { state in
      defer { state.counts[Int(offset / 8)] = 0 }
      return state.counts[Int(offset / 8)]
    }
    bytes.storeBytes(of: count.bigEndian, as: UInt64.self)
  }

  func store(_ bytes: RawSpan, at offset: UInt64, by opener: Opener) throws(DeviceError) {
    guard offset < Self.byteCount, offset & 7 == 0, bytes.byteCount == 8 else { throw .invalid }
    count(Int(offset / 8))
  }

  private func count(_ counter: Int) {
    let waker = state.withLock { state -> PollWaker? in
      state.counts[counter] += 1
      let becameReadable = state.counts[counter] == 1
      guard becameReadable, let opener = state.opener[counter] else { return nil }
      // Forgotten: whoever is woken brings another.
      return state.wakers.removeValue(forKey: opener)
    }
    waker?.wake()
  }

  func isReadable(_ opener: Opener, orWake waker: PollWaker) -> Bool {
    state.withLock { state in
      state.wakers[opener] = waker
      return state.counter[opener].map { state.counts[$0] > 0 } ?? false
    }
  }

  func closed(_ opener: Opener) -> Invalidation? {
    state.withLock { state in
      state.wakers[opener] = nil
      if let counter = state.counter.removeValue(forKey: opener) { state.opener[counter] = nil }
      guard state.showing == opener else { return nil }
      state.showing = nil
      return Invalidation([Self.shownPage])
    }
  }

  // MARK: - Requests

  /// The requests: `_IOWR('T', number, uint64_t[3])`.
  enum Request: UInt32 {
    /// Attaches the descriptor to the counter of word 0.
    case attach = 0xc018_5401
    /// Keeps the caller's memory behind the descriptor of word 0, from the offset of word 1, of the bytes of word 2.
    case share = 0xc018_5402
    /// Puts word 1 into the memory at the offset of word 0, and answers in word 2 what was there.
    case exchange = 0xc018_5403
    /// Answers whether the descriptor of word 0 is one of this device.
    case isDevice = 0xc018_5404
    /// Answers how many descriptors are attached.
    case countAttached = 0xc018_5405
    /// Shows the page behind the counters until the descriptor is closed.
    case show = 0xc018_5406
    /// Takes the eventfd of word 0, to be called word 1 from then on, and answers its identity in word 2.
    case takeEvent = 0xc018_5407
    /// Adds one to the counter of word 1 when the eventfd called word 0 is heard.
    case listen = 0xc018_5408
    /// Ends that; drains when word 1 is not 0.
    case stopListening = 0xc018_5409
    /// Adds one to the eventfd called word 0.
    case raise = 0xc018_540a
    /// Lets go of the eventfd called word 0.
    case dropEvent = 0xc018_540b
  }

  /// `_IO('T', 12)`: puts the argument itself into counter 0, and answers its low 31 bits.
  private static let keepArgument: UInt32 = 0x540c

  func control(_ request: inout ControlRequest) throws(DeviceError) -> Int32 {
    if request.number == Self.keepArgument {
      let argument = request.argument
      state.withLock { $0.counts[0] = argument }
      return Int32(argument & 0x7fff_ffff)
    }
    guard let kind = Request(rawValue: request.number) else { throw .unknownRequest }
    var words = unsafe request.input.withUnsafeBytes { bytes in
      (0..<3).map { unsafe bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
    }
    defer {
      request.output = words.flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
      }
    }
    switch kind {
    case .attach: return try attach(request.opener, to: words[0])
    case .share:
      let memory = try request.caller.share(
        Int32(truncatingIfNeeded: words[0]), offset: words[1], byteCount: words[2])
      // What was kept before goes outside the lock: its end is a system call.
      let before = state.withLock { state in
        defer { state.memory = memory }
        return state.memory
      }
      withExtendedLifetime(before) {}
      return 0
    case .exchange: return try exchange(&words)
    case .isDevice:
      return try request.caller.isDevice(Int32(truncatingIfNeeded: words[0])) ? 1 : 0
    case .countAttached: return state.withLock { Int32($0.counter.count) }
    case .show:
      state.withLock { $0.showing = request.opener }
      return 0
    case .takeEvent:
      let event = try request.caller.event(Int32(truncatingIfNeeded: words[0]))
      words[2] = event.identity
      replaceEvent(words[1], by: event)
      return 0
    case .listen:
      let counter = Int(words[1])
      try event(words[0]).listen { [weak self] in self?.count(counter) }
      return 0
    case .stopListening:
      try event(words[0]).stopListening(draining: words[1] != 0)
      return 0
    case .raise:
      try event(words[0]).raise()
      return 0
    case .dropEvent:
      replaceEvent(words[0], by: nil)
      return 0
    }
  }

  private func event(_ name: UInt64) throws(DeviceError) -> any SharedEvent {
    guard let event = state.withLock({ $0.events[name] }) else { throw .notFound }
    return event
  }

  private func replaceEvent(_ name: UInt64, by event: (any SharedEvent)?) {
    let before = state.withLock { state in
      defer { state.events[name] = event }
      return state.events[name]
    }
    // Outside the lock: its end is a system call.
    withExtendedLifetime(before) {}
  }

  private func attach(_ opener: Opener, to counter: UInt64) throws(DeviceError) -> Int32 {
    try state.withLock { state throws(DeviceError) in
      guard counter < state.counts.count else { throw .outOfRange }
      guard state.counter[opener] == nil else { throw .busy }
      guard state.opener[Int(counter)] == nil else { throw .exists }
      state.counter[opener] = Int(counter)
      state.opener[Int(counter)] = opener
      return 0
    }
  }

  private func exchange(_ words: inout [UInt64]) throws(DeviceError) -> Int32 {
    guard let memory = state.withLock({ $0.memory }) else { throw .noSuchAttribute }
    guard words[0] & 7 == 0, unsafe words[0] < UInt64(memory.bytes.count) else { throw .invalid }
    let place = unsafe memory.bytes.baseAddress.map { unsafe $0 + Int(words[0]) }
    guard let place = unsafe place?.assumingMemoryBound(to: UInt64.self) else { throw .invalid }
    words[2] = unsafe place.pointee
    unsafe place.pointee = words[1]
    return 0
  }
}
