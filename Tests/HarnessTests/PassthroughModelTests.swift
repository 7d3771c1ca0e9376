import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@testable import XIVEHarness

/// The model that scenarios hold devices against is held against the contract's own words here.
@Suite("The model of what must be true")
struct PassthroughModelTests {
  private static let lisn = LISN(rawValue: 5)
  private let phb: PHBIndex
  private let run: PassthroughRun
  private let target: PassthroughTarget

  init() throws {
    phb = try #require(PHBIndex(rawValue: 3))
    run = PassthroughRun(Self.lisn, to: phb, HardwareIRQ(rawValue: 1))
    target = PassthroughTarget(phb, HardwareIRQ(rawValue: 1))
  }

  /// A device with a PHB of two messages and a level interrupt.
  private var plugged: PassthroughModel {
    var model = PassthroughModel(created: 0...7)
    model.plug(phb, PHBShape(msiCount: 2, lsiCount: 1))
    return model
  }

  // Contract 5.2: after mapping the guest reads 2, or 3 when an interrupt was pending; the source is at 01.
  @Test(
    "Mapping: pending, queued when something was pending or queued",
    arguments: [
      (0b00, 0b00, 0b10), (0b00, 0b01, 0b10), (0b00, 0b10, 0b11), (0b00, 0b11, 0b11),
      (0b01, 0b00, 0b10), (0b10, 0b00, 0b10), (0b11, 0b00, 0b11), (0b11, 0b11, 0b11),
    ])
  func mapping(_ source: UInt8, _ interrupt: UInt8, _ seen: UInt8) {
    var model = plugged
    model.setPQ(of: Self.lisn, to: PQ(rawValue: source))
    model.setPQ(of: target, to: PQ(rawValue: interrupt))
    model.map(run)
    #expect(model.pq(of: Self.lisn) == PQ(rawValue: seen))
    #expect(model.sources[Self.lisn]?.pq == .off)
    #expect(model.sources[Self.lisn]?.generation == 2)
    #expect(model.sources[Self.lisn]?.server == target)
    #expect(model.events == 0)
    #expect(model.hostEvents == 0)
  }

  // Contract 5.3: after unmapping the source is at 10 and a trigger makes 11; the host's interrupt is ended.
  @Test(
    "Unmapping: the source pending, the interrupt ended for the host",
    arguments: [(0b00, 0b00, 0), (0b01, 0b01, 0), (0b10, 0b00, 0), (0b11, 0b10, 1)])
  func unmapping(_ interrupt: UInt8, _ left: UInt8, _ hostEvents: UInt64) {
    var model = plugged
    model.map(run)
    model.setPQ(of: Self.lisn, to: PQ(rawValue: interrupt))
    model.unmap(run)
    #expect(model.pq(of: Self.lisn) == .pending)
    #expect(model.line(target)?.pq == PQ(rawValue: left))
    #expect(model.hostEvents == hostEvents)
    #expect(model.sources[Self.lisn]?.generation == 3)
    model.trigger(Self.lisn)
    #expect(model.pq(of: Self.lisn) == .queued)
    #expect(model.events == 0)
  }

  @Test("A message while mapped is queued, and comes once when the guest has ended the first")
  func message() {
    var model = plugged
    model.map(run)
    model.perform(.trigger, target)
    #expect(model.pq(of: Self.lisn) == .queued)
    #expect(model.endOfInterrupt(Self.lisn) == true)
    #expect(model.events == 1)
    #expect(model.endOfInterrupt(Self.lisn) == false)
    #expect(model.pq(of: Self.lisn) == .reset)
  }

  @Test("Unplugging unmaps; a PHB at the same index is another one")
  func unplugging() {
    var model = plugged
    model.map(run)
    model.unplug(phb)
    #expect(model.pq(of: Self.lisn) == .pending)
    #expect(model.phbs.isEmpty)
    model.plug(phb, PHBShape(msiCount: 1))
    #expect(model.plugs[phb] == 2)
    #expect(model.line(PassthroughTarget(phb, HardwareIRQ(rawValue: 0)))?.pq == .off)
  }

  @Test("A fenced PHB shows nothing and takes nothing; its lines are remembered")
  func fence() {
    var model = plugged
    let level = PassthroughTarget(phb, HardwareIRQ(rawValue: 2))
    model.map(run)
    model.setPQ(of: Self.lisn, to: .reset)
    model.setPQ(of: level, to: .reset)
    model.perform(.fence, target)
    #expect(model.pq(of: Self.lisn) == nil)
    #expect(model.endOfInterrupt(Self.lisn) == nil)
    model.trigger(Self.lisn)
    model.perform(.trigger, target)
    model.perform(.assert, level)
    #expect(model.hostEvents == 0)
    model.perform(.unfence, target)
    #expect(model.pq(of: Self.lisn) == .reset)
    #expect(model.line(level) == PassthroughModel.Line(pq: .pending, isAsserted: true))
    #expect(model.hostEvents == 1)
    #expect(model.events == 0)
  }

  @Test("A level that is held comes again when it is ended; its source has no trigger page")
  func level() {
    var model = plugged
    let level = PassthroughTarget(phb, HardwareIRQ(rawValue: 2))
    model.map(PassthroughRun(Self.lisn, to: phb, HardwareIRQ(rawValue: 2)))
    model.setPQ(of: Self.lisn, to: .reset)
    model.trigger(Self.lisn)
    #expect(model.pq(of: Self.lisn) == .reset)
    model.perform(.assert, level)
    #expect(model.endOfInterrupt(Self.lisn) == true)
    #expect(model.events == 2)
    model.perform(.deassert, level)
    #expect(model.endOfInterrupt(Self.lisn) == false)
  }
}

@Suite("Random operations")
struct RandomOperationTests {
  private func operations(seed: UInt64, count: Int) throws -> [HotplugOperation] {
    let places = HotplugOperation.Places(
      sources: 0...31, phbs: try (0..<4).map { try #require(PHBIndex(rawValue: $0)) })
    var generator = SeededGenerator(seed: seed)
    var model = PassthroughModel(created: 0...31)
    return (0..<count).map { _ in
      let operation = HotplugOperation.random(model, places, using: &generator)
      check(operation, model, places)
      model.apply(operation)
      return operation
    }
  }

  /// Each can be done at that moment, or is meant to be refused.
  private func check(
    _ operation: HotplugOperation, _ model: PassthroughModel, _ places: HotplugOperation.Places
  ) {
    switch operation {
    case .plug(let phb, let shape): #expect(model.phbs[phb] == nil && shape.irqCount > 0)
    case .unplug(let phb): #expect(model.phbs[phb] != nil)
    case .map(let run, _):
      #expect(run.count > 0)
      for (lisn, target) in run.pairs {
        #expect(places.sources.contains(lisn.rawValue))
        #expect(model.sources[lisn]?.server == nil && model.line(target)?.source == nil)
      }
    case .unmap(let run, _):
      #expect(run.count > 0)
      for (lisn, target) in run.pairs { #expect(model.sources[lisn]?.server == target) }
    case .perform(let what, let target):
      #expect(model.line(target) != nil)
      if what == .trigger { #expect(!model.isLevel(target)) }
      if what == .assert || what == .deassert { #expect(model.isLevel(target)) }
    case .mapTooMuch(let run):
      #expect(run.count == 2)
      #expect(model.sources[run.lisns[0]]?.server == nil)
      #expect(model.sources[run.lisns[1]]?.server != nil)
    case .trigger, .endOfInterrupt, .setPQ: break
    }
  }

  @Test("One seed, one run")
  func reproducible() throws {
    let first = try operations(seed: Seed.value, count: 2_000)
    #expect(try operations(seed: Seed.value, count: 2_000) == first, "\(Seed.comment)")
    #expect(try operations(seed: Seed.value &+ 1, count: 2_000) != first, "\(Seed.comment)")
  }

  @Test("Every kind of operation is drawn")
  func kinds() throws {
    let names = Set(
      try operations(seed: Seed.value, count: 2_000).map { operation in
        if case .perform(let what, _) = operation { return "\(what)" }
        return String("\(operation)".prefix { $0 != "(" })
      })
    #expect(
      names == [
        "plug", "unplug", "map", "unmap", "mapTooMuch", "setPQ", "endOfInterrupt", "trigger",
        "assert", "deassert", "fence", "unfence",
      ], "\(Seed.comment)")
  }
}
