/// Sources with lines, eventfds and a machine that stops, as `xive.h` and the contract tell it: slow, literal.
///
/// All of its sources go to one queue, which never is full.
struct ReferenceInjection {
  struct Source: Hashable {
    let isLevel: Bool
    var pq = 1
    /// Whether KVM_IRQ_LINE holds the line.
    var isAsserted = false
    /// The eventfds that hold it.
    var holders: Set<Int> = []
    /// Whether an event waits for the machine to run.
    var isLatched = false
    /// Whether hardware serves it.
    var isMapped = false
    /// The entries that came of it.
    var entries = 0

    var isHigh: Bool { isAsserted || !holders.isEmpty }
  }

  var sources: [Source]
  var isRunning = true
  /// Where each eventfd is tied, if it is.
  var ties: [Int: Int] = [:]
  /// How often each resamplefd has been told.
  var told: [Int]
  var refused = 0
  var injected = 0
  var resampled = 0
  var lines = 0

  init(levels: [Bool], eventCount: Int) {
    sources = levels.map { Source(isLevel: $0) }
    told = Array(repeating: 0, count: eventCount)
  }

  // MARK: - The machine

  private mutating func leave(_ index: Int) {
    if isRunning { sources[index].entries += 1 } else { sources[index].isLatched = true }
  }

  mutating func setRunning(_ value: Bool) {
    isRunning = value
    guard value else { return }
    for index in sources.indices where sources[index].isLatched {
      sources[index].isLatched = false
      sources[index].entries += 1
    }
  }

  /// Group 2: off, and what waits is dropped; the line stays as it is.
  mutating func create(_ index: Int) {
    sources[index].pq = 1
    sources[index].isLatched = false
  }

  /// PHB's pages take the place of the source's.
  mutating func map(_ index: Int) {
    sources[index].isMapped = true
    sources[index].pq = 1
  }

  /// The source gets its pages back, pending.
  mutating func unmap(_ index: Int) {
    sources[index].isMapped = false
    sources[index].pq = 2
  }

  // MARK: - What raises

  mutating func trigger(_ index: Int) {
    switch sources[index].pq {
    case 0:
      sources[index].pq = 2
      leave(index)
    case 2: sources[index].pq = 3
    default: break
    }
  }

  private mutating func raiseIfQuiet(_ index: Int) {
    guard sources[index].pq == 0 else { return }
    sources[index].pq = 2
    leave(index)
  }

  /// KVM_IRQ_LINE.
  /// - Returns: false for EINVAL.
  mutating func setLine(_ index: Int, _ level: Int) -> Bool {
    lines += 1
    guard !sources[index].isMapped else {
      refused += 1
      return false
    }
    if sources[index].isLevel {
      sources[index].isAsserted = level != 0
      if level != 0 { raiseIfQuiet(index) }
    } else if level != 0 {
      trigger(index)
    }
    return true
  }

  /// An eventfd is raised that is tied.
  mutating func fire(_ event: Int) {
    guard let index = ties[event] else { return }
    injected += 1
    guard !sources[index].isMapped else {
      refused += 1
      return
    }
    guard sources[index].isLevel else { return trigger(index) }
    sources[index].holders.insert(event)
    raiseIfQuiet(index)
  }

  mutating func tie(_ event: Int, to index: Int) -> Bool {
    guard ties[event] == nil else { return false }
    ties[event] = index
    return true
  }

  mutating func untie(_ event: Int) {
    guard let index = ties.removeValue(forKey: event) else { return }
    sources[index].holders.remove(event)
  }

  // MARK: - What a guest does on pages of the source's own

  /// The lines that eventfds hold are lowered together, and each resamplefd is raised.
  private mutating func tellOfEnd(_ index: Int) {
    sources[index].holders = []
    for (event, place) in ties where place == index && sources[index].isLevel {
      told[event] += 1
      resampled += 1
    }
  }

  mutating func endOfInterrupt(_ index: Int) -> Int {
    let old = sources[index].pq
    guard old != 1 else { return 0 }
    tellOfEnd(index)
    sources[index].pq = old == 3 ? 2 : 0
    if old == 3 {
      leave(index)
      return 1
    }
    guard sources[index].isHigh else { return 0 }
    raiseIfQuiet(index)
    return 1
  }

  mutating func set(_ index: Int, _ pq: Int) -> Int {
    let old = sources[index].pq
    if pq == 0, old >= 2 { tellOfEnd(index) }
    sources[index].pq = pq
    // Whoever raised it by an irqfd waits for the end of an interrupt, which has to come first.
    if !sources[index].holders.isEmpty { raiseIfQuiet(index) }
    return old
  }
}
