import CXIVE
import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Random programs of lines, eventfds, ends and stops, against the literal model")
struct InjectionModelTests {
  private static let levels = [false, false, true, true]
  private static let eventCount = 6

  /// The device and what it should be.
  private struct Pair {
    let machine: Machine
    var model: ReferenceInjection
    var events: [FakeEvent]
    let resamples: [FakeEvent]
    private var queue: GuestQueue
    private var entries = [Int](repeating: 0, count: 4)

    var rig: Rig { machine.rig }

    init() throws {
      let rig = Rig(sources: 4, existing: 0, servers: 1, storeEOI: true)
      for (source, isLSI) in InjectionModelTests.levels.enumerated() {
        rig.create(UInt32(source), isLSI: isLSI)
      }
      try rig.addPHB()
      machine = try Machine(rig, cpus: 1)
      for source: UInt32 in 0..<4 { try machine.route(source, to: 0, eisn: source) }
      model = ReferenceInjection(
        levels: InjectionModelTests.levels, eventCount: InjectionModelTests.eventCount)
      events = (0..<UInt64(InjectionModelTests.eventCount)).map { FakeEvent(100 + $0) }
      resamples = (0..<UInt64(InjectionModelTests.eventCount)).map { FakeEvent(200 + $0) }
      queue = GuestQueue(machine.memory, at: Machine.queueAddress(0, 6))
    }

    private func resample(_ event: Int, _ source: Int) -> FakeEvent? {
      InjectionModelTests.levels[source] ? resamples[event] : nil
    }

    /// One step of both.
    /// - Returns: what it was.
    mutating func step(_ random: inout SplitMix64) throws -> String {
      let index = Int.random(in: 0..<4, using: &random)
      let event = Int.random(in: 0..<InjectionModelTests.eventCount, using: &random)
      let pq = Int.random(in: 0..<4, using: &random)
      let source = UInt32(index)
      let isOwn = !model.sources[index].isMapped
      let page = rig.offset(source, .management)
      switch Int.random(in: 0..<21, using: &random) {
      case 0, 1, 2:
        model.fire(event)
        if model.ties[event] != nil { events[event].fire() }
        return "fire \(event)"
      case 3, 4:
        let level = Int.random(in: 0...1, using: &random)
        let isTaken = (try? rig.setLine(source, UInt32(level))) != nil
        let isExpected = model.setLine(index, level)
        #expect(isTaken == isExpected)
        return "line \(index) \(level)"
      case 5, 6:
        let tied: Void? = try? rig.irqfd(source, events[event], resample: resample(event, index))
        #expect((tied != nil) == model.tie(event, to: index))
        return "tie \(event) to \(index)"
      case 7:
        let place = model.ties[event] ?? index
        try rig.untie(UInt32(place), events[event], resample: resample(event, place))
        model.untie(event)
        return "untie \(event)"
      case 8..<11 where isOwn:
        #expect(try Int(machine.load(source, at: 0)) == model.endOfInterrupt(index))
        return "load EOI \(index)"
      case 11 where isOwn:
        try rig.store(page + 0x400)
        _ = model.endOfInterrupt(index)
        return "store EOI \(index)"
      case 12..<14 where isOwn:
        let old = try machine.load(source, at: 0xc00 + UInt64(pq) << 8)
        #expect(Int(old) == model.set(index, pq))
        return "load PQ \(pq) of \(index)"
      case 14 where isOwn:
        var mapped = try MappedPage(rig, page)
        mapped.storeAndWriteBack(0, slot: (0xc00 + pq << 8) / 8)
        // As the notifier does: the slot is put back, so that the next store is seen.
        mapped.deliverAll()
        _ = model.set(index, pq)
        return "mapped store of PQ \(pq) of \(index)"
      case 15 where isOwn:
        try machine.trigger(source)
        model.trigger(index)
        return "trigger \(index)"
      case 16:
        try rig.stop()
        model.setRunning(false)
        return "stop"
      case 17, 18:
        try rig.resume()
        model.setRunning(true)
        return "resume"
      case 19 where isOwn:
        try rig.map(source, to: UInt16(index))
        model.map(index)
        return "map \(index)"
      case 19:
        try rig.unmap(source, from: UInt16(index))
        model.unmap(index)
        return "unmap \(index)"
      case 20 where isOwn && pq == 0:
        // Creating it again masks it, too.
        rig.create(source)
        try machine.route(source, to: 0, eisn: source)
        model.create(index)
        return "create \(index)"
      default: return "nothing"
      }
    }

    /// Compares all that can be seen.
    mutating func isEqual() throws -> Bool {
      while let source = queue.next() { entries[Int(source)] += 1 }
      for (index, source) in model.sources.enumerated() {
        let flags = try rig.record(UInt32(index)).flags
        guard rig.pq(UInt32(index)).rawValue == source.pq, entries[index] == source.entries,
          flags & 0xe8 == source.flags
        else { return false }
      }
      let info = rig.injected
      return resamples.map { Int($0.count) } == model.told
        && events.indices.allSatisfy { events[$0].isListenedTo == (model.ties[$0] != nil) }
        && Int(info.irqfds) == model.ties.count && Int(info.refused) == model.refused
        && Int(info.injected) == model.injected && Int(info.resampled) == model.resampled
        && Int(info.lines) == model.lines
    }
  }

  @Test("Device and model agree after every step", arguments: 0..<24)
  func programs(_ program: Int) throws {
    var random = Seed.generator(stream: 700 + UInt64(program))
    var pair = try Pair()
    var log: [String] = []
    for _ in 0..<700 {
      log.append(try pair.step(&random))
      let isEqual = try pair.isEqual()
      let last = log.suffix(12).joined(separator: ", ")
      #expect(isEqual, "\(last); \(pair.model.sources); \(Seed.comment)")
      guard isEqual else { return }
    }
    try pair.rig.resume()
    pair.model.setRunning(true)
    #expect(try pair.isEqual(), "\(Seed.comment)")
    let entries = pair.model.sources.map(\.entries).reduce(0, +)
    #expect(entries > 5 && pair.model.resampled > 0, "something must happen; \(Seed.comment)")
  }
}

extension ReferenceInjection.Source {
  /// Who holds the line, whether an event waits and whether hardware serves it, as a record has it.
  fileprivate var flags: UInt64 {
    (isAsserted ? 8 : 0) | (isLatched ? 0x20 : 0) | (holders.isEmpty ? 0 : 0x40)
      | (isMapped ? 0x80 : 0)
  }
}
