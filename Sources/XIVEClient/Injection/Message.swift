public import XIVEModel

/// The device that a message comes from, as its bus numbers it: KVM's `devid`.
public struct RequesterID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The plain number.
  public let rawValue: UInt32

  /// Creates an id.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The id in a message.
  public var description: String { "requester 0x\(String(rawValue, radix: 16))" }
}

/// What a device stores to raise an interrupt: a message-signalled interrupt.
public struct Message: Hashable, Sendable, CustomStringConvertible {
  /// Where it is stored.
  public let address: UInt64
  /// What is stored.
  public let data: UInt32

  /// Creates a message.
  /// - Parameters:
  ///   - address: where it is stored.
  ///   - data: what is stored.
  public init(at address: UInt64, _ data: UInt32) {
    self.address = address
    self.data = data
  }

  /// The message in a message.
  public var description: String { "message \(words)" }

  fileprivate var words: String {
    "0x\(String(data, radix: 16)) at 0x\(String(address, radix: 16))"
  }
}

/// A run of a device's messages, of consecutive data at one address, and the run of sources that they trigger.
public struct MessageRoute: Hashable, Sendable, CustomStringConvertible {
  /// The device.
  public let requester: RequesterID
  /// The first message.
  public let first: Message
  /// The source that the first message triggers.
  public let firstLISN: LISN
  /// How many of both.
  public let count: UInt32

  /// Creates a route.
  /// - Parameters:
  ///   - requester: the device.
  ///   - first: the first message.
  ///   - firstLISN: the source that it triggers.
  ///   - count: how many of both.
  public init(
    of requester: RequesterID, _ first: Message, to firstLISN: LISN, count: UInt32 = 1
  ) {
    self.requester = requester
    self.first = first
    self.firstLISN = firstLISN
    self.count = count
  }

  /// The route in a message.
  public var description: String {
    "\(count) messages of \(requester) from \(first.words) on, to LISN \(firstLISN)"
  }
}

/// Where a message goes.
public struct MessageTarget: Hashable, Sendable {
  /// What has a source's events delivered.
  public struct Delivery: Hashable, Sendable {
    /// The server.
    public let server: Server
    /// The priority of its queue.
    public let priority: Priority
    /// What the queue's entry says.
    public let eisn: EISN
  }

  /// The source that it triggers.
  public let lisn: LISN
  /// Where the source's events go, or nil while it is masked.
  public let delivery: Delivery?
}
