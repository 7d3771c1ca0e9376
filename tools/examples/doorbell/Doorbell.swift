internal import PagedDevice
internal import Synchronization

/// A device of two pages: a doorbell, and a counter of its rings.
///
/// - Page 0, the doorbell: any exact store rings, and so does any write-back of a mapped page, for what is
///   stored and where does not matter. Loads give all ones. The fault of a store marks the page before the
///   store is done: a write-back in between rings as well.
/// - Page 1, the counter: an exact load of 8 bytes at its start gives the count, big-endian; a mapped page
///   shows the count there and is kept current. Stores do nothing, and what a mapped one left is put back.
///
/// A descriptor is readable, in the sense of `poll`, while the bell was rung since it loaded the counter.
///
/// Everything behind is a hole. All of it is said here and in the protocol: whoever serves the device knows
/// neither bells nor counters.
final class Doorbell: PagedDevice {
  private static let bell: UInt64 = 0
  private static let counter: UInt64 = 4_096
  private static let end: UInt64 = 8_192

  private struct State {
    var count: UInt64 = 0
    /// The count that a descriptor has loaded; 0 for none.
    var loaded: [Opener: UInt64] = [:]
    var wakers: [Opener: PollWaker] = [:]
    /// Pages that show what consumers stored into them.
    var covered: Set<UInt64> = []
    var host: (any DeviceHost)?
  }

  /// Guards the state and the counter's image; nothing is called under it.
  private let state = Mutex(State())
  private let bellImage = PageBody(repeating: 0xff)
  private let counterImage = PageBody(repeating: 0)

  func attach(to host: any DeviceHost) { state.withLock { $0.host = host } }

  // MARK: - Mapped

  func image(at offset: UInt64) throws(PageFault) -> PageImage {
    switch offset {
    case Self.bell: PageImage(body: bellImage)
    case Self.counter: PageImage(body: counterImage)
    default: throw PageFault()
    }
  }

  func writeBack(_ image: RawSpan, at offset: UInt64) {
    change { state in
      state.covered.insert(offset)
      if offset == Self.bell { state.count += 1 }
    }
  }

  func takeUpdates(_ deliver: (PageUpdate) -> Void) {
    let (count, covered) = state.withLock { state in
      defer { state.covered = [] }
      return (state.count, state.covered)
    }
    if covered.contains(Self.bell) {
      deliver(unsafe PageUpdate(offset: Self.bell, unsafeBytes: bellImage.bytes))
    }
    if covered.contains(Self.counter) {
      deliver(unsafe PageUpdate(offset: Self.counter, unsafeBytes: counterImage.bytes))
    }
    unsafe withUnsafeBytes(of: count.bigEndian) { bytes in
      deliver(unsafe PageUpdate(offset: Self.counter, unsafeBytes: bytes))
    }
  }

  // MARK: - Exact

  func load(at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener)
    throws(DeviceError)
  {
    if offset < Self.counter {
      for index in 0..<bytes.byteCount {
        bytes.storeBytes(of: 0xff, toByteOffset: index, as: UInt8.self)
      }
    } else {
      guard offset == Self.counter, bytes.byteCount == 8 else { throw .invalid }
      let count = state.withLock { state in
        state.loaded[opener] = state.count
        return state.count
      }
      bytes.storeBytes(of: count.bigEndian, as: UInt64.self)
    }
  }

  func store(_ bytes: RawSpan, at offset: UInt64, by opener: Opener) throws(DeviceError) {
    guard offset < Self.end else { throw .invalid }
    if offset < Self.counter { change { $0.count += 1 } }
  }

  func segment(endingAfter offset: UInt64) -> Range<UInt64>? {
    offset < Self.end ? Self.bell..<Self.end : nil
  }

  // MARK: - Waiting

  func isReadable(_ opener: Opener, orWake waker: PollWaker) -> Bool {
    state.withLock { state in
      state.wakers[opener] = waker
      return state.count != state.loaded[opener, default: 0]
    }
  }

  func closed(_ opener: Opener) -> Invalidation? {
    state.withLock { state in
      state.wakers[opener] = nil
      state.loaded[opener] = nil
    }
    return nil
  }

  /// Changes the state, brings the counter's image up to date, has the mapped pages follow, and wakes who waits.
  private func change(_ body: (inout State) -> Void) {
    let (host, wakers) = state.withLock { state in
      let before = state.count
      body(&state)
      counterImage.store(state.count.bigEndian, at: 0)
      guard state.count != before else { return (state.host, [PollWaker]()) }
      defer { state.wakers = [:] }
      return (state.host, Array(state.wakers.values))
    }
    host?.updatesAreReady()
    for waker in wakers { waker.wake() }
  }
}
