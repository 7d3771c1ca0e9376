internal import TraceRecords

/// Which pages a live view shows first.
public enum TopOrder: String, Sendable, CaseIterable, Encodable {
  /// Those with the most faults.
  case faults
  /// Those with the most faults on pages that had been dropped.
  case refaults
  /// Those with the most `SIGBUS`.
  case sigbus
  /// Those that touchers waited for longest.
  case time

  /// The key that chooses it.
  public var key: Character? { rawValue.first }

  typealias Row = (page: TopPage, number: UInt64)

  /// What was busy in the last interval comes first, then what ever was; equals by place: rows must not jump about.
  func precedes(_ first: Row, _ second: Row) -> Bool {
    let keys = (rank(first.page.last), first.page.last.touches, first.page.faultsInAll)
    let others = (rank(second.page.last), second.page.last.touches, second.page.faultsInAll)
    return keys == others ? first.number < second.number : keys > others
  }

  private func rank(_ uses: TopUses) -> UInt64 {
    switch self {
    case .faults: UInt64(uses.faults)
    case .refaults: UInt64(uses.refaults)
    case .sigbus: UInt64(uses.buserrors)
    case .time: uses.nanoseconds
    }
  }
}

/// One interval of a live view: what programs read, and what a screen is drawn from.
public struct TopView: Sendable, Encodable {
  /// Grows when a field changes its meaning.
  public let schemaVersion = 1
  /// How long the interval was.
  public let seconds: Double
  /// By what ``pages`` are ordered.
  public let order: TopOrder
  /// Records lost since the view began.
  public let lostInAll: UInt64
  /// Records lost in the interval.
  public internal(set) var lost: UInt64 = 0
  /// Records of each kind a second.
  public internal(set) var rates: [String: Double] = [:]
  /// How many of the sources whose state was told are left in each state, by its two bits.
  public internal(set) var pq: [String: Int] = [:]
  /// How long fills, exact accesses and zaps took; those that there were.
  public internal(set) var latency: [String: Latency] = [:]
  /// Pages, the hottest first.
  public internal(set) var pages: [Page] = []
  /// Hot-plug operations, the last first.
  public internal(set) var hotplug: [Hotplug] = []
  /// Threads that touched pages, the busiest first.
  public internal(set) var consumers: [Consumer] = []

  init(seconds: Double, order: TopOrder, lostInAll: UInt64) {
    self.seconds = seconds
    self.order = order
    self.lostInAll = lostInAll
  }

  mutating func take(_ interval: TopInterval) {
    lost = interval.lost
    for (kind, count) in interval.kinds where kind != .task && kind != .gap {
      rates[kind.name] = Double(count) / seconds
    }
    let histograms = [
      ("fill", interval.fills), ("exact", interval.exact), ("zap", interval.zaps),
    ]
    for (name, histogram) in histograms { latency[name] = Latency(histogram) }
  }

  /// Percentiles, in microseconds.
  public struct Latency: Sendable, Encodable {
    /// Half of them took no longer.
    public let p50: Double
    /// 99 of a hundred took no longer.
    public let p99: Double
    /// How many there were.
    public let count: Int

    init?(_ histogram: Latencies) {
      guard let half = histogram.percentile(50), let most = histogram.percentile(99) else {
        return nil
      }
      p50 = Double(half) / 1e3
      p99 = Double(most) / 1e3
      count = Int(clamping: histogram.count)
    }
  }

  /// A page of the device.
  public struct Page: Sendable, Encodable {
    /// Its name, such as `esb:0x17:management`.
    public let name: String
    /// Its device offset.
    public internal(set) var offset: UInt64 = 0
    /// Faults a second.
    public let faults: Double
    /// Faults a second after the page had been dropped.
    public let refaults: Double
    /// `SIGBUS` a second.
    public let sigbus: Double
    /// Exact accesses a second.
    public let exact: Double
    /// Stores to its image a second.
    public let writeBacks: Double
    /// Microseconds a second that touchers waited for it.
    public let microseconds: Double
    /// Faults since the view began.
    public let faultsInAll: Int
    /// Why it was filled the last time.
    public let cause: String
    /// What served it the last time.
    public let backing: String
    /// The state that its source was left in; nil where no record told it.
    public internal(set) var pq: String?

    init(_ page: TopPage, name: String, backing: String, per seconds: Double) {
      self.name = name
      faults = Double(page.last.faults) / seconds
      refaults = Double(page.last.refaults) / seconds
      sigbus = Double(page.last.buserrors) / seconds
      exact = Double(page.last.exact) / seconds
      writeBacks = Double(page.last.writeBacks) / seconds
      microseconds = Double(page.last.nanoseconds) / 1e3 / seconds
      faultsInAll = page.faultsInAll
      cause = page.cause.name
      self.backing = backing
    }
  }

  /// A hot-plug operation.
  public struct Hotplug: Sendable, Encodable {
    /// `plug`, `unplug`, `map`, `unmap`, `fence` or `unfence`.
    public let kind: String
    /// Of what.
    public let what: String
    /// How long before the end of the interval it was done.
    public let secondsAgo: Double
    /// How long it took.
    public let microseconds: Double
  }

  /// A thread that touches pages.
  public struct Consumer: Sendable, Encodable {
    /// Its name; nil while no record told it.
    public let name: String?
    /// Its number.
    public let threadID: UInt32
    /// Its process.
    public let processID: UInt32
    /// Faults, exact accesses, written-back stores and requests a second.
    public let touches: Double
    /// Faults a second.
    public let faults: Double
    /// `SIGBUS` a second.
    public let sigbus: Double

    init(_ thread: TopThread, thread id: UInt32, per seconds: Double) {
      name = thread.name
      threadID = id
      processID = thread.processID
      touches = Double(thread.last.touches) / seconds
      faults = Double(thread.last.faults) / seconds
      sigbus = Double(thread.last.buserrors) / seconds
    }
  }
}
