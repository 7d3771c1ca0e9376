/// An END spelled out field by field, and its eight words.
public struct ReferenceEND: Hashable, Sendable, CustomStringConvertible {
  /// The flags of word 0 that are set, by their letters in ``letters``.
  public var flags: String
  /// The queue's size: 4 KiB shifted left by this.
  public var queueSize: UInt32 = 4
  /// The queue's address.
  public var queue: UInt64 = 0
  /// Generation bit of the next entry.
  public var generation: UInt32 = 1
  /// Index of the next entry.
  public var index: UInt32 = 0
  /// PQ of ESn.
  public var notifyPQ: UInt32 = 0
  /// PQ of ESe.
  public var escalatePQ: UInt32 = 0
  /// Block of the END that this one escalates to.
  public var escalationBlock: UInt32 = 0
  /// Index of the END that this one escalates to.
  public var escalationIndex: UInt32 = 0
  /// Data of the escalation.
  public var escalationData: UInt32 = 0
  /// Block of the NVT.
  public var block: UInt32 = 0
  /// Index of the NVT.
  public var target: UInt32 = 0
  /// Priority; 0xff is masked.
  public var priority: UInt32 = 0

  /// The flags of word 0, PPC bits 0 to 7: valid, enqueue, unconditional notify, backlog, (P), escalate,
  /// unconditional escalate, silent escalate.
  public static let letters = Array("vqnbpeus")

  /// Creates an END.
  /// - Parameter flags: its flags, by their letters.
  public init(_ flags: String) { self.flags = flags }

  /// The words.
  public var words: [UInt32] {
    var words = [UInt32](repeating: 0, count: 8)
    for (bit, letter) in Self.letters.enumerated() where flags.contains(letter) {
      set(bit...bit, 1, of: &words[0])
    }
    set(12...15, queueSize, of: &words[0])
    set(0...1, notifyPQ, of: &words[1])
    set(2...3, escalatePQ, of: &words[1])
    set(9...9, generation, of: &words[1])
    set(10...31, index, of: &words[1])
    set(4...31, UInt32(queue >> 32), of: &words[2])
    words[3] = UInt32(truncatingIfNeeded: queue)
    set(4...7, escalationBlock, of: &words[4])
    set(8...31, escalationIndex, of: &words[4])
    set(1...31, escalationData, of: &words[5])
    set(9...12, block, of: &words[6])
    set(13...31, target, of: &words[6])
    set(8...15, priority, of: &words[7])
    return words
  }

  private func set(_ bits: ClosedRange<Int>, _ value: UInt32, of word: inout UInt32) {
    word = ReferenceFields.replacing(bits, of: word, with: value)
  }

  /// Flags, priority and target, for a failure.
  public var description: String {
    "END \(flags), priority \(priority), NVT 0x\(String(target, radix: 16)), "
      + "4K<<\(queueSize) at 0x\(String(queue, radix: 16)), ESe to \(escalationIndex)"
  }
}
