internal import XIVEClient
internal import XIVEModel

/// One thing that an operator, a device or a guest does.
enum HotplugOperation: Hashable {
  case plug(PHBIndex, PHBShape)
  case unplug(PHBIndex)
  case map(PassthroughRun, prefault: Bool)
  case unmap(PassthroughRun, prefault: Bool)
  case perform(HardwareOperation, PassthroughTarget)
  case trigger(LISN)
  case endOfInterrupt(LISN)
  case setPQ(LISN, PQ)
  /// Mapped as it may not be: its last source is mapped already.
  case mapTooMuch(PassthroughRun)

  /// The sources that are worth a look afterwards.
  var lisns: [LISN] {
    switch self {
    case .map(let run, _), .unmap(let run, _), .mapTooMuch(let run):
      [run.lisns.first, run.lisns.last].compactMap(\.self)
    case .trigger(let lisn), .endOfInterrupt(let lisn), .setPQ(let lisn, _): [lisn]
    case .plug, .unplug, .perform: []
    }
  }

  /// Draws something that can be done now.
  /// - Parameters:
  ///   - model: what is true now.
  ///   - places: the sources and PHBs that take part.
  ///   - generator: where the numbers come from.
  /// - Returns: one that succeeds, or one that must be refused as a whole.
  static func random(
    _ model: PassthroughModel, _ places: Places, using generator: inout some RandomNumberGenerator
  ) -> HotplugOperation {
    while true {
      let drawn: HotplugOperation? =
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<8: plug(model, places, &generator)
        case 8..<13: places.plugged(model).randomElement(using: &generator).map { .unplug($0) }
        case 13..<33: map(model, places, &generator)
        case 33..<49: unmap(model, &generator)
        case 49..<70: perform(model, places, &generator)
        case 70..<73: mapTooMuch(model, places, &generator)
        case 73..<83: .trigger(places.source(&generator))
        case 83..<95: .endOfInterrupt(places.source(&generator))
        default:
          .setPQ(places.source(&generator), PQ(rawValue: .random(in: 0...3, using: &generator)))
        }
      if let drawn { return drawn }
    }
  }

  /// Who takes part.
  struct Places: Hashable {
    let sources: ClosedRange<UInt32>
    let phbs: [PHBIndex]

    func plugged(_ model: PassthroughModel) -> [PHBIndex] {
      phbs.filter { model.phbs[$0] != nil }
    }

    func source(_ generator: inout some RandomNumberGenerator) -> LISN {
      LISN(rawValue: .random(in: sources, using: &generator))
    }
  }
}

extension HotplugOperation {
  private static func plug(
    _ model: PassthroughModel, _ places: Places, _ generator: inout some RandomNumberGenerator
  ) -> HotplugOperation? {
    let free = places.phbs.filter { model.phbs[$0] == nil }
    return free.randomElement(using: &generator).map { phb in
      .plug(
        phb,
        PHBShape(
          msiCount: .random(in: 1...8, using: &generator),
          lsiCount: .random(in: 0...2, using: &generator),
          supportsStoreEOI: .random(using: &generator)))
    }
  }

  /// A run of free sources to free interrupts, as long as both go on, or shorter.
  private static func map(
    _ model: PassthroughModel, _ places: Places, _ generator: inout some RandomNumberGenerator
  ) -> HotplugOperation? {
    guard let phb = places.plugged(model).randomElement(using: &generator),
      let lines = model.phbs[phb]?.lines, let first = lines.indices.randomElement(using: &generator)
    else { return nil }
    let source = places.source(&generator).rawValue
    let wanted = UInt32.random(in: 1...8, using: &generator)
    let count = (0..<wanted).prefix { index in
      let irq = first + Int(index)
      let lisn = LISN(rawValue: source + index)
      return irq < lines.count && lines[irq].source == nil && places.sources.contains(lisn.rawValue)
        && model.sources[lisn]?.server == nil
    }.count
    guard count > 0 else { return nil }
    let run = PassthroughRun(
      LISN(rawValue: source), to: phb, HardwareIRQ(rawValue: UInt16(first)), count: UInt32(count))
    return .map(run, prefault: .random(using: &generator))
  }

  /// A part of what is mapped, from any source of it on.
  private static func unmap(
    _ model: PassthroughModel, _ generator: inout some RandomNumberGenerator
  ) -> HotplugOperation? {
    let mapped = model.sources.filter { $0.value.server != nil }.keys.sorted()
    guard let first = mapped.randomElement(using: &generator),
      let target = model.sources[first]?.server
    else { return nil }
    let wanted = UInt32.random(in: 1...8, using: &generator)
    let whole = PassthroughRun(first, to: target.phb, target.irq, count: wanted)
    let count = whole.pairs.prefix { model.sources[$0.0]?.server == $0.1 }.count
    let run = PassthroughRun(first, to: target.phb, target.irq, count: UInt32(count))
    return .unmap(run, prefault: .random(using: &generator))
  }

  private static func perform(
    _ model: PassthroughModel, _ places: Places, _ generator: inout some RandomNumberGenerator
  ) -> HotplugOperation? {
    guard let phb = places.plugged(model).randomElement(using: &generator),
      let plugged = model.phbs[phb],
      let index = plugged.lines.indices.randomElement(using: &generator)
    else { return nil }
    let irq = HardwareIRQ(rawValue: UInt16(index))
    let operation: HardwareOperation =
      if Int.random(in: 0..<10, using: &generator) == 0 {
        plugged.isFenced ? .unfence : .fence
      } else if plugged.shape.isLSI(irq) {
        Bool.random(using: &generator) ? .assert : .deassert
      } else {
        .trigger
      }
    return .perform(operation, PassthroughTarget(phb, irq))
  }

  /// Two sources of which the second is mapped, to two interrupts that are free.
  private static func mapTooMuch(
    _ model: PassthroughModel, _ places: Places, _ generator: inout some RandomNumberGenerator
  ) -> HotplugOperation? {
    let seconds = places.sources.dropFirst().filter {
      model.sources[LISN(rawValue: $0)]?.server != nil
        && model.sources[LISN(rawValue: $0 - 1)]?.server == nil
    }
    guard let second = seconds.randomElement(using: &generator),
      let phb = places.plugged(model).randomElement(using: &generator),
      let lines = model.phbs[phb]?.lines,
      let first = lines.indices.dropLast().first(where: {
        lines[$0].source == nil && lines[$0 + 1].source == nil
      })
    else { return nil }
    return .mapTooMuch(
      PassthroughRun(
        LISN(rawValue: second - 1), to: phb, HardwareIRQ(rawValue: UInt16(first)), count: 2))
  }
}

extension PassthroughModel {
  /// Does it to the model.
  mutating func apply(_ operation: HotplugOperation) {
    switch operation {
    case .plug(let phb, let shape): plug(phb, shape)
    case .unplug(let phb): unplug(phb)
    case .map(let run, _): map(run)
    case .unmap(let run, _): unmap(run)
    case .perform(let what, let target): perform(what, target)
    case .trigger(let lisn): trigger(lisn)
    case .endOfInterrupt(let lisn): _ = endOfInterrupt(lisn)
    case .setPQ(let lisn, let pq): setPQ(of: lisn, to: pq)
    case .mapTooMuch: break
    }
  }
}
