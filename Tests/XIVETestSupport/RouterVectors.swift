/// One operation of a recorded run over the router.
public enum RouterOperation: Sendable, Hashable {
  /// A trigger of a source.
  case trigger(Int)
  /// A load from a source's management page.
  case load(Int, UInt64)
  /// An acknowledgement of a server's OS ring.
  case ack(Int)
  /// A store of CPPR.
  case setCPPR(Int, UInt8)
  /// A store that makes a priority pending.
  case setPending(Int, UInt8)
}

/// One step of a recorded run over the router.
public struct RouterStep: Sendable, Decodable, CustomStringConvertible {
  /// What was done.
  public let operation: RouterOperation
  /// What it loaded; nil for a store.
  public let result: UInt64?
  /// The first eight bytes of each vCPU's OS ring behind it, as a load gives them.
  public let rings: [UInt64]

  private enum CodingKeys: String, CodingKey {
    case op
    case result
    case rings
  }

  /// Reads the step.
  /// - Parameter decoder: an object.
  /// - Throws: a decoding error when something is missing, or an operation is not known.
  public init(from decoder: any Decoder) throws {
    let object = try decoder.container(keyedBy: CodingKeys.self)
    result = try object.decode(UInt64?.self, forKey: .result)
    rings = try object.decode([String].self, forKey: .rings).map { text in
      guard let ring = UInt64(text, radix: 16) else { throw SupportFailure("no ring: \(text)") }
      return ring
    }
    var elements = try object.nestedUnkeyedContainer(forKey: .op)
    let name = try elements.decode(String.self)
    let first = try elements.decode(Int.self)
    switch name {
    case "trigger": operation = .trigger(first)
    case "load": operation = .load(first, try elements.decode(UInt64.self))
    case "ack": operation = .ack(first)
    case "setCPPR": operation = .setCPPR(first, try elements.decode(UInt8.self))
    case "setPending": operation = .setPending(first, try elements.decode(UInt8.self))
    default: throw SupportFailure("no operation: \(name)")
    }
  }

  /// The operation in words, for a failure.
  public var description: String { "\(operation)" }
}

/// A recorded run over the router: two vCPUs, seven queues each, twelve sources.
public struct RouterSequence: Sendable, Decodable {
  /// A queue as it starts.
  public struct Queue: Sendable, Decodable {
    /// The vCPU that it belongs to.
    public let server: Int
    /// Its priority.
    public let priority: Int
    /// Generation bit of the next entry.
    public let toggle: UInt32
    /// Index of the next entry.
    public let index: UInt32
    /// At the end: every entry that is not zero, by its index.
    public let entries: [String: UInt32]?
  }

  /// Where the events of a source go.
  public struct Source: Sendable, Decodable {
    /// The source.
    public let lisn: Int
    /// The vCPU.
    public let server: Int
    /// The priority.
    public let priority: Int
    /// What is written into the queue.
    public let eisn: UInt32
    /// Whether the source is masked.
    public let masked: Bool
  }

  /// The queues at the start.
  public let queues: [Queue]
  /// The sources' routing.
  public let sources: [Source]
  /// What was done, in order.
  public let steps: [RouterStep]
  /// PQ of each source at the end.
  public let finalPQ: [UInt8]
  /// The queues at the end.
  public let finalQueues: [Queue]
}
