/// The whole way of an event, written down as the architecture's list of steps, over big-endian tables in
/// plain bytes: a second opinion on the model's router and presenter.
///
/// Slow, literal, not for threads. Facts: QEMU hw/intc/xive.c and include/hw/ppc/xive_regs.h, Linux
/// arch/powerpc/include/asm/xive-regs.h.
public struct ReferenceRouter: Sendable {
  /// The sources and their PQ.
  public internal(set) var sources: ReferenceModel
  /// Event assignment table, 8 bytes a LISN.
  public internal(set) var eat: [UInt8]
  /// Event notification descriptor table, 32 bytes an END.
  public internal(set) var endt: [UInt8]
  /// Notification virtual target table, 64 bytes an NVT.
  public internal(set) var nvtt: [UInt8]
  /// The vCPUs, by server number.
  public internal(set) var vcpus: [ReferenceVCPU]
  /// Guest memory.
  public internal(set) var memory: [UInt8]
  /// The guest-physical address of its first byte.
  public let memoryBase: UInt64
  /// Positions in ``memory`` of the entries that were written, in order.
  public internal(set) var writes: [Int] = []
  /// Guest errors by kind.
  public internal(set) var errors: [ReferenceGuestError: UInt64] = [:]
  /// What became of the events.
  public internal(set) var outcomes: [ReferenceOutcome: UInt64] = [:]

  /// The NVT of server 0.
  public static let firstNVT = 0x400
  /// ENDs of a server.
  public static let priorities = 8

  /// Creates a controller whose tables are all invalid and whose vCPUs are not connected.
  /// - Parameters:
  ///   - sources: how many; all off.
  ///   - servers: how many.
  ///   - memorySize: bytes of guest memory.
  ///   - memoryBase: its guest-physical address.
  ///   - supportsStoreEOI: whether StoreEOI works.
  public init(
    sources: Int, servers: Int, memorySize: Int, at memoryBase: UInt64 = 0,
    supportsStoreEOI: Bool = false
  ) {
    self.sources = ReferenceModel(count: sources, supportsStoreEOI: supportsStoreEOI)
    eat = Array(repeating: 0, count: sources * 8)
    endt = Array(repeating: 0, count: servers * Self.priorities * 32)
    nvtt = Array(repeating: 0, count: (Self.firstNVT + servers) * 64)
    vcpus = (0..<servers).map { ReferenceVCPU(server: $0) }
    memory = Array(repeating: 0, count: memorySize)
    self.memoryBase = memoryBase
  }

  // MARK: - Tables

  /// Writes an EAS.
  /// - Parameters:
  ///   - source: whose.
  ///   - words: both words.
  public mutating func setEAS(_ source: Int, _ words: [UInt32]) {
    for (index, word) in words.enumerated() {
      ReferenceFields.setWord(word, in: &eat, at: source * 8 + index * 4)
    }
  }

  /// Writes a valid EAS.
  /// - Parameters:
  ///   - source: whose.
  ///   - end: index of the END, in block 0.
  ///   - data: what is written into the queue.
  ///   - isMasked: whether it is masked.
  public mutating func setEAS(_ source: Int, end: UInt32, data: UInt32, isMasked: Bool = false) {
    let second = ReferenceFields.replacing(1...31, of: isMasked ? 0x8000_0000 : 0, with: data)
    setEAS(source, [ReferenceFields.replacing(8...31, of: 0x8000_0000, with: end), second])
  }

  /// Writes an END.
  /// - Parameters:
  ///   - index: which.
  ///   - words: its eight words.
  public mutating func setEND(_ index: Int, _ words: [UInt32]) {
    for (word, value) in words.enumerated() {
      ReferenceFields.setWord(value, in: &endt, at: index * 32 + word * 4)
    }
  }

  /// Reads an END.
  /// - Parameter index: which.
  /// - Returns: its eight words.
  public func end(_ index: Int) -> [UInt32] {
    (0..<8).map { ReferenceFields.word(endt, at: index * 32 + $0 * 4) }
  }

  /// Validates or invalidates an NVT; its backlog stays.
  /// - Parameters:
  ///   - index: which.
  ///   - isValid: whether it is valid.
  public mutating func setNVT(_ index: Int, isValid: Bool) {
    let word = ReferenceFields.word(nvtt, at: index * 64)
    let changed = ReferenceFields.replacing(0...0, of: word, with: isValid ? 1 : 0)
    ReferenceFields.setWord(changed, in: &nvtt, at: index * 64)
  }

  /// Reads the backlog of an NVT.
  /// - Parameter index: which.
  /// - Returns: its IPB.
  public func backlog(_ index: Int) -> UInt8 {
    UInt8(ReferenceFields.field(16...23, of: ReferenceFields.word(nvtt, at: index * 64 + 16)))
  }

  mutating func setBacklog(_ index: Int, _ bits: UInt8) {
    let word = ReferenceFields.word(nvtt, at: index * 64 + 16)
    let changed = ReferenceFields.replacing(16...23, of: word, with: UInt32(bits))
    ReferenceFields.setWord(changed, in: &nvtt, at: index * 64 + 16)
  }

  func isNVTValid(block: UInt32, index: UInt32) -> Bool {
    guard block == 0, index < UInt32(nvtt.count / 64) else { return false }
    return ReferenceFields.field(0...0, of: ReferenceFields.word(nvtt, at: Int(index) * 64)) == 1
  }

  func isENDValid(block: UInt32, index: UInt32) -> Bool {
    guard block == 0, index < UInt32(endt.count / 32) else { return false }
    return ReferenceFields.field(0...0, of: ReferenceFields.word(endt, at: Int(index) * 32)) == 1
  }

  // MARK: - Counts

  mutating func count(_ error: ReferenceGuestError) { errors[error, default: 0] += 1 }

  mutating func count(_ outcome: ReferenceOutcome) { outcomes[outcome, default: 0] += 1 }

  // MARK: - Sources

  /// Loads or stores 8 bytes on a page of a source.
  /// - Parameters:
  ///   - access: load or store.
  ///   - source: which source.
  ///   - page: which of its pages.
  ///   - offset: a byte offset in the page.
  /// - Returns: a load's value; nil for a store.
  @discardableResult
  public mutating func perform(
    _ access: VectorAccess, source: Int, _ page: VectorPage, at offset: UInt64
  ) -> UInt64? {
    let before = sources.notified
    let value = sources.perform(access, source: source, page, at: offset)
    if sources.notified > before { event(of: source) }
    return value
  }
}
