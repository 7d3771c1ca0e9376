extension ReferenceRouter {
  /// Escalations in a row before an event counts as one without end.
  public static let escalationLimit = 16

  /// What the presenter did with a notification.
  private enum Presentation {
    case done
    case notFound
  }

  /// Step 1: a source notifies.
  /// - Parameter source: which.
  public mutating func event(of source: Int) {
    let word0 = ReferenceFields.word(eat, at: source * 8)
    let word1 = ReferenceFields.word(eat, at: source * 8 + 4)
    if ReferenceFields.field(0...0, of: word0) == 0 {
      count(.easInvalid)
      return
    }
    // PPC bit 32 of the double word.
    if ReferenceFields.field(0...0, of: word1) == 1 {
      count(.masked)
      return
    }
    let block = ReferenceFields.field(4...7, of: word0)
    let index = ReferenceFields.field(8...31, of: word0)
    trigger(block: block, index: index, data: ReferenceFields.field(1...31, of: word1), depth: 0)
  }

  /// Step 2: an END is triggered.
  private mutating func trigger(block: UInt32, index: UInt32, data: UInt32, depth: Int) {
    if !isENDValid(block: block, index: index) {
      count(.endInvalid)
      return
    }
    let number = Int(index)
    if flag("q", of: number) { append(data, to: number) }
    notify(number, isAgain: false, depth: depth)
  }

  /// Steps 3 to 7: an END notifies, or, if it is silent, only escalates; again after an EOI of ESn.
  ///
  /// A silent END keeps no backlog either, which the contract leaves open: so QEMU was seen to do.
  private mutating func notify(_ number: Int, isAgain: Bool, depth: Int) {
    if !flag("s", of: number) {
      if priority(of: number) == 0xff {
        count(.masked)
        return
      }
      if !isAgain, !flag("n", of: number), !triggerState(0...1, of: number) {
        count(.coalesced)
        return
      }
      if present(number) == .done { return }
      if flag("b", of: number) { keep(number) }
      if !flag("b", of: number), !flag("e", of: number) { count(.undelivered) }
    }
    if !flag("e", of: number) { return }
    if !flag("u", of: number), !triggerState(2...3, of: number) {
      count(.coalesced)
      return
    }
    escalate(number, depth: depth)
  }

  private mutating func escalate(_ number: Int, depth: Int) {
    if !flag("e", of: number) { return }
    if depth == Self.escalationLimit {
      count(.escalationLoop)
      return
    }
    count(.escalated)
    let words = end(number)
    trigger(
      block: ReferenceFields.field(4...7, of: words[4]),
      index: ReferenceFields.field(8...31, of: words[4]),
      data: ReferenceFields.field(1...31, of: words[5]), depth: depth + 1)
  }

  // MARK: - Step 2: the queue

  private mutating func append(_ data: UInt32, to number: Int) {
    var words = end(number)
    let generation = ReferenceFields.field(9...9, of: words[1])
    let index = ReferenceFields.field(10...31, of: words[1])
    let high = UInt64(ReferenceFields.field(4...31, of: words[2]))
    let address = Int(high << 32 | UInt64(words[3]) - memoryBase) + Int(index) * 4
    let entry = ReferenceFields.replacing(0...0, of: data, with: generation)
    ReferenceFields.setWord(entry, in: &memory, at: address)
    writes.append(address)
    count(.entries)
    let entries = UInt32(4096 << ReferenceFields.field(12...15, of: words[0])) / 4
    var next = index + 1
    if next >= entries {
      next = 0
      words[1] = ReferenceFields.replacing(9...9, of: words[1], with: 1 - generation)
    }
    words[1] = ReferenceFields.replacing(10...31, of: words[1], with: next)
    setEND(number, words)
  }

  // MARK: - Steps 5 and 7: ESn and ESe

  /// Triggers two PQ bits in word 1; true when they say notify.
  private mutating func triggerState(_ bits: ClosedRange<Int>, of number: Int) -> Bool {
    perform(.trigger, bits, of: number).notifies
  }

  private mutating func perform(
    _ operation: ReferenceOperation, _ bits: ClosedRange<Int>, of number: Int
  ) -> ReferenceRow {
    var words = end(number)
    let before = UInt8(ReferenceFields.field(bits, of: words[1]))
    for row in ReferenceTable.rows where row.operation == operation && row.before == before {
      words[1] = ReferenceFields.replacing(bits, of: words[1], with: UInt32(row.after))
      setEND(number, words)
      return row
    }
    preconditionFailure("the table has no row for \(operation) from \(before)")
  }

  /// Loads or stores 8 bytes on a page of an END.
  ///
  /// An EOI that finds a queued event sends it on, as the architecture has it; QEMU only tells.
  /// - Parameters:
  ///   - access: load or store.
  ///   - number: which END.
  ///   - isEscalation: the odd page, ESe, instead of the even one, ESn.
  ///   - offset: a byte offset in the page.
  /// - Returns: a load's value; nil for a store.
  @discardableResult
  public mutating func perform(
    _ access: VectorAccess, end number: Int, isEscalation: Bool, at offset: UInt64
  ) -> UInt64? {
    if access == .store {
      count(.endStore)
      return nil
    }
    if !isENDValid(block: 0, index: UInt32(number)) {
      count(.absentPage)
      return .max
    }
    guard let operation = ReferenceTable.operation(.management, .load, at: offset) else {
      return .max
    }
    let row = perform(operation, isEscalation ? 2...3 : 0...1, of: number)
    if row.notifies, isEscalation { escalate(number, depth: 0) }
    if row.notifies, !isEscalation { notify(number, isAgain: true, depth: 0) }
    return row.value
  }

  // MARK: - Step 6: the presenter

  private mutating func present(_ number: Int) -> Presentation {
    let word6 = end(number)[6]
    let block = ReferenceFields.field(9...12, of: word6)
    let index = ReferenceFields.field(13...31, of: word6)
    if !isNVTValid(block: block, index: index) {
      count(.nvtInvalid)
      return .done
    }
    // All NVTs are in block 0, so that the CAM is the index. A thread matches once, with the first of its rings.
    var matches: [(Int, ReferenceRing)] = []
    for (server, vcpu) in vcpus.enumerated() {
      let rings = [ReferenceRing.phys, .pool, .os]
      if let ring = rings.first(where: { vcpu.answers(to: index, $0) }) {
        matches.append((server, ring))
      }
    }
    if matches.count > 1 { count(.camDuplicate) }
    if matches.count != 1 { return .notFound }
    count(.notified)
    vcpus[matches[0].0].makePending(pendingBit(of: number), matches[0].1)
    return .done
  }

  /// Step 7: the event waits for its vCPU.
  private mutating func keep(_ number: Int) {
    let target = Int(ReferenceFields.field(13...31, of: end(number)[6]))
    count(.backlogged)
    setBacklog(target, backlog(target) | pendingBit(of: number))
  }

  // MARK: - Fields

  private func flag(_ letter: Character, of number: Int) -> Bool {
    guard let bit = ReferenceEND.letters.firstIndex(of: letter) else {
      preconditionFailure("no flag \(letter)")
    }
    return ReferenceFields.field(bit...bit, of: end(number)[0]) == 1
  }

  private func priority(of number: Int) -> UInt32 {
    ReferenceFields.field(8...15, of: end(number)[7])
  }

  private func pendingBit(of number: Int) -> UInt8 {
    ReferenceVCPU.pendingBit(of: UInt8(priority(of: number)))
  }
}
