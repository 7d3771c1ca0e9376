/// An event notification descriptor: a queue, whom to notify of it, and what to do when that fails.
///
/// Its eight 32-bit words in the machine's byte order; bits are numbered from the lowest here.
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `XiveEND`, `END_W0_VALID` and its neighbours.
public struct END: Hashable, Sendable {
  /// Flags and the queue's size.
  public var w0: UInt32 = 0
  /// ESn in bits 31-30, ESe in 29-28, generation in 22, the next entry's index in 21-0.
  public var w1: UInt32 = 0
  /// Bits 59-32 of the queue's address.
  public var w2: UInt32 = 0
  /// Bits 31-0 of the queue's address.
  public var w3: UInt32 = 0
  /// The END that events escalate to.
  public var w4: UInt32 = 0
  /// What they say there.
  public var w5: UInt32 = 0
  /// Format in bit 23, the NVT in 22-0.
  public var w6: UInt32 = 0
  /// Priority in bits 23-16.
  public var w7: UInt32 = 0

  /// Creates one that is not valid.
  public init() {}

  /// Creates a server's END as a hypervisor sets it up: with a queue that starts at generation 1 and index 0, always
  /// notifying, keeping a backlog.
  ///
  /// Source: QEMU `hw/intc/spapr_xive.c`, `h_int_set_queue_config`.
  /// - Parameters:
  ///   - server: whom to notify.
  ///   - priority: with which priority.
  ///   - queueAddress: guest-physical address of the queue, aligned to its size.
  ///   - queueShift: logarithm of its size in bytes, 12 to 27.
  public init(
    notifying server: Server, _ priority: Priority, queueAddress: UInt64, queueShift: UInt32 = 16
  ) {
    isValid = true
    isEnqueued = true
    notifiesAlways = true
    keepsBacklog = true
    w0 |= (queueShift - 12) << 16
    generation = 1
    w2 = UInt32(truncatingIfNeeded: queueAddress >> 32) & 0x0fff_ffff
    w3 = UInt32(truncatingIfNeeded: queueAddress)
    w6 = NVTIndex(server).rawValue
    w7 = UInt32(priority.rawValue) << 16
  }

  /// Whether it means anything.
  public var isValid: Bool {
    get { w0 >> 31 & 1 == 1 }
    set { w0.setBits(31, 1, newValue ? 1 : 0) }
  }
  /// Whether events are written into the queue (q).
  public var isEnqueued: Bool {
    get { w0 >> 30 & 1 == 1 }
    set { w0.setBits(30, 1, newValue ? 1 : 0) }
  }
  /// Whether every event notifies (n), instead of going through ESn.
  public var notifiesAlways: Bool {
    get { w0 >> 29 & 1 == 1 }
    set { w0.setBits(29, 1, newValue ? 1 : 0) }
  }
  /// Whether the NVT keeps what a vCPU that does not run is to be told (b).
  public var keepsBacklog: Bool {
    get { w0 >> 28 & 1 == 1 }
    set { w0.setBits(28, 1, newValue ? 1 : 0) }
  }
  /// Whether what could not be told is passed on (e).
  public var escalates: Bool { w0 >> 26 & 1 == 1 }
  /// Whether it is passed on each time (u), instead of going through ESe.
  public var escalatesAlways: Bool { w0 >> 25 & 1 == 1 }
  /// Whether nobody is notified, and everything is passed on (s).
  public var isSilent: Bool { w0 >> 24 & 1 == 1 }

  /// Logarithm of the queue's size in bytes, from 12.
  public var queueShift: UInt32 { 12 + (w0 >> 16 & 0xf) }
  /// The number of entries of 4 bytes in the queue.
  public var queueEntryCount: UInt32 { 1 << (queueShift - 2) }
  /// The queue's guest-physical address.
  public var queueAddress: UInt64 { UInt64(w2 & 0x0fff_ffff) << 32 | UInt64(w3) }

  /// The highest bit of the next entry.
  public var generation: UInt32 {
    get { w1 >> 22 & 1 }
    set { w1.setBits(22, 1, newValue) }
  }
  /// Where the next entry goes.
  public var queueIndex: UInt32 {
    get { w1 & 0x3f_ffff }
    set { w1.setBits(0, 22, newValue) }
  }

  /// The END that events escalate to.
  public var escalationEND: ENDIndex { ENDIndex(rawValue: w4) }
  /// What they say there.
  public var escalationData: EISN { EISN(rawValue: w5) }

  /// Whether it addresses a logical server of user processes (format 1), which this controller does not have.
  public var isFormat1: Bool { w6 >> 23 & 1 == 1 }
  /// Whether it addresses several vCPUs at once (ignore), which this controller does not do.
  public var isGroup: Bool { w7 >> 31 == 1 }
  /// Whom it notifies.
  public var target: NVTIndex { NVTIndex(rawValue: w6) }
  /// The priority as it lies in the word: 0xff is masked, what is above 7 is nobody's.
  public var rawPriority: UInt8 { UInt8(truncatingIfNeeded: w7 >> 16) }

  /// The state of one of its two coalescing machines.
  public subscript(half: ENDHalf) -> PQ {
    get { PQ(rawValue: UInt8(truncatingIfNeeded: w1 >> half.shift)) }
    set { w1.setBits(half.shift, 2, UInt32(newValue.rawValue)) }
  }

  /// The states of both machines; nil while it is not valid.
  public var states: ENDStates? {
    isValid ? ENDStates(notification: self[.notification], escalation: self[.escalation]) : nil
  }

  /// Moves to the next entry of the queue; behind the last one comes the first, with the other generation.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_end_enqueue`.
  /// - Parameter data: what the event says.
  /// - Returns: the entry, and where in the queue it goes.
  public mutating func enqueue(_ data: EISN) -> (entry: UInt32, index: Int) {
    let index = queueIndex & (queueEntryCount - 1)
    let entry = generation << 31 | data.rawValue
    queueIndex = (index + 1) & (queueEntryCount - 1)
    if queueIndex == 0 { generation ^= 1 }
    return (entry, Int(index))
  }
}

extension ENDHalf {
  /// Where its two bits lie in word 1.
  fileprivate var shift: UInt32 { self == .notification ? 30 : 28 }
}

extension UInt32 {
  /// Replaces some bits.
  fileprivate mutating func setBits(_ shift: UInt32, _ count: UInt32, _ value: UInt32) {
    let mask: UInt32 = (1 << count - 1) << shift
    self = self & ~mask | value << shift & mask
  }
}
