public import XIVEModel

/// An event notification descriptor as firmware writes it: eight words.
///
/// For what ``XIVEDescriptor/configureQueue(_:_:at:from:)`` does not offer: coalescing, escalation, other sizes.
/// The bits are constants in `xive.h`, `XIVE_END_W0_VALID` and those that follow. Source: QEMU
/// `include/hw/ppc/xive_regs.h`, `XiveEND`.
public struct ENDWords: Hashable, Sendable {
  private var words: [UInt32]

  /// Creates a descriptor that is not valid: all words 0.
  public init() { words = Array(repeating: 0, count: 8) }

  /// A word, 0 to 7, in the machine's byte order.
  public subscript(index: Int) -> UInt32 {
    get { words[index] }
    set { words[index] = newValue }
  }

  /// Whether events may come.
  public var isValid: Bool { words[0] & 0x8000_0000 != 0 }
  /// PQ of notification, ESn: used where the descriptor does not always notify.
  public var notification: PQ { PQ(rawValue: UInt8(words[1] >> 30)) }
  /// PQ of escalation, ESe: used where the descriptor does not always escalate.
  public var escalation: PQ { PQ(rawValue: UInt8(truncatingIfNeeded: words[1] >> 28)) }

  /// The queue, or nil where events are not enqueued.
  public var queue: QueueState? {
    guard words[0] & 0xc000_0000 == 0xc000_0000 else { return nil }
    return QueueState(
      address: UInt64(words[2] & 0x0fff_ffff) << 32 | UInt64(words[3]),
      byteCount: 4_096 << Int(words[0] >> 16 & 0xf),
      position: QueuePosition(
        generation: words[1] & 0x0040_0000 != 0, index: Int(words[1] & 0x003f_ffff)))
  }

  /// The number of a server's descriptor for a priority.
  /// - Parameters:
  ///   - server: the server.
  ///   - priority: 0 to 7.
  /// - Returns: its index in region 2.
  /// - Precondition: the server is below 2^29.
  public static func index(_ server: Server, _ priority: UInt8) -> UInt32 {
    server.rawValue * 8 + UInt32(priority)
  }
}

/// A server's queue for a priority.
public struct QueueState: Hashable, Sendable {
  /// Its guest-physical address.
  public let address: UInt64
  /// Its bytes.
  public let byteCount: Int
  /// Where the device writes next: a consumer that has read everything goes on from there.
  public let position: QueuePosition
}
