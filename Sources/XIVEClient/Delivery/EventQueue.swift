public import XIVEModel

/// A consumer's place in an event queue, which is also what a producer needs to go on there.
///
/// Source: Linux `arch/powerpc/include/uapi/asm/kvm.h`, `struct kvm_ppc_xive_eq`, `qtoggle` and `qindex`.
/// What Linux keeps as a consumer's toggle (`arch/powerpc/sysdev/xive/common.c`, `struct xive_q`) is the
/// opposite of the generation.
public struct QueuePosition: Hashable, Sendable {
  /// Bit 31 of the next entry; it changes each time the queue wraps.
  public var generation: Bool
  /// Which entry is next.
  public var index: Int

  /// Names a place.
  /// - Parameters:
  ///   - generation: bit 31 of the next entry.
  ///   - index: which entry is next.
  public init(generation: Bool, index: Int) {
    self.generation = generation
    self.index = index
  }

  /// Where a queue begins when it is configured: generation 1, entry 0.
  public static let start = QueuePosition(generation: true, index: 0)

  /// Goes on to the next entry; behind the last one the queue wraps and the generation changes.
  /// - Parameter count: the queue's entries.
  mutating func advance(in count: Int) {
    index += 1
    guard index >= count else { return }
    index = 0
    generation.toggle()
  }
}

/// The consumer's end of an event queue: reads in guest memory what the device writes there.
///
/// No lock and no call: an entry is one big-endian word, the event's EISN below a generation bit that tells
/// whether it is new. The queue must be emptied before the device has gone round it, else events are lost, as
/// on hardware. Thread rule: one thread at a time.
///
/// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_read_eq`; QEMU `hw/intc/xive.c`, `xive_end_enqueue`.
public struct EventQueue: ~Copyable, Sendable {
  /// The bytes of the only size that the kernel's attribute takes.
  public static let byteCount = 65_536

  private let memory: GuestMemory
  private let offset: Int
  /// The queue's entries.
  public let entryCount: Int
  /// Where the next entry will be; a consumer that starts again later goes on from it.
  public private(set) var position: QueuePosition

  /// Takes a place in guest memory for a queue; what lies there stays.
  /// - Parameters:
  ///   - memory: the memory; kept alive by the queue.
  ///   - offset: where the queue begins in it, in bytes; a multiple of 4.
  ///   - byteCount: the queue's bytes, a power of two of at least 4,096.
  ///   - position: where to go on.
  /// - Throws: ``DeliveryError/queueMemory(offset:byteCount:memory:)``, and
  ///   ``XIVEClientError/value(_:_:)`` for an index that the queue does not have.
  public init(
    _ memory: GuestMemory, at offset: Int = 0, byteCount: Int = Self.byteCount,
    from position: QueuePosition = .start
  ) throws(XIVEClientError) {
    let isSize = byteCount >= 4_096 && byteCount & (byteCount - 1) == 0
    guard isSize, offset >= 0, offset & 3 == 0, offset <= memory.byteCount - byteCount else {
      throw .delivery(.queueMemory(offset: offset, byteCount: byteCount, memory: memory.byteCount))
    }
    guard (0..<byteCount / 4).contains(position.index) else {
      throw .value("index", UInt64(clamping: position.index))
    }
    self.memory = memory
    self.offset = offset
    self.position = position
    entryCount = byteCount / 4
  }

  /// Takes the next entry.
  /// - Returns: the event's EISN, or nil when there is none yet.
  public mutating func next() -> EISN? {
    let entry = memory.word(at: offset + position.index * 4)
    guard entry >> 31 == (position.generation ? 1 : 0) else { return nil }
    position.advance(in: entryCount)
    return EISN(rawValue: entry)
  }

  /// Makes all entries old, as a queue must be before it is configured at ``position``.
  ///
  /// Not while the device writes it.
  public func clear() {
    for index in 0..<entryCount {
      let isOld = position.generation == (index < position.index)
      memory.setWord(isOld ? 1 << 31 : 0, at: offset + index * 4)
    }
  }
}
