public import PagedDevice
internal import Synchronization
public import XIVEModel

extension XIVEDevice {
  /// Adds a PHB: its own pages exist at once, its interrupts are off and serve no source.
  /// - Parameters:
  ///   - index: where; a PHB that is being removed still holds its place.
  ///   - shape: its interrupts.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` without any interrupt, ``/PagedDevice/DeviceError/outOfRange``
  ///   above ``/XIVEModel/HardwareIRQ/maximumCount``, ``/PagedDevice/DeviceError/exists``.
  public func addPHB(_ index: PHBIndex, _ shape: PHBShape) throws(DeviceError) {
    guard shape.irqCount > 0 else { throw .invalid }
    guard shape.irqCount <= UInt64(HardwareIRQ.maximumCount) else { throw .outOfRange }
    let generation = try hotplug.withLock { generations throws(DeviceError) in
      try nextGeneration(of: index, generations)
    }
    // Built outside the lock, which short requests wait for while nobody else reads requests.
    let phb = PHB(index, shape, generation: generation)
    try hotplug.withLock { generations throws(DeviceError) in
      // Who came in between has had the place.
      guard try nextGeneration(of: index, generations) == generation else { throw .exists }
      phbs.add(phb)
      generations[index] = generation
      if trace.isOn { trace.plugged(phb) }
    }
  }

  private func nextGeneration(of index: PHBIndex, _ generations: [PHBIndex: UInt32])
    throws(DeviceError) -> UInt32
  {
    guard phbs[index] == nil else { throw .exists }
    return generations[index, default: 0] &+ 1
  }

  /// Removes a PHB, whatever is mapped to it: its sources are on their own pages again, as after
  /// ``unmap(_:prefault:)``, its own pages are holes.
  /// - Parameter index: which.
  /// - Returns: what must be carried out before anybody is told; until then the index is taken.
  /// - Throws: ``/PagedDevice/DeviceError/notFound``.
  public func removePHB(_ index: PHBIndex) throws(DeviceError) -> Invalidation {
    let transition = try hotplug.withLock { _ throws(DeviceError) in
      guard let phb = phbs[index], !phb.isLeaving else { throw .notFound }
      let mapped = phb.irqs.compactMap { irq in phb.lisn(servedBy: irq).map { ($0, irq) } }
      let steps = mapped.sorted { $0.0 < $1.0 }.map { lisn, irq in
        let old = sources.backings[lisn]
        return Transition.Step(lisn: lisn, old: old, new: old.next(.ipi), irq: irq)
      }
      // Sources that others are unmapping may still show its pages: whoever is told that it is gone relies on that.
      let leaving = transitions.withLock { list in
        list.filter { $0.phb === phb }.flatMap { $0.steps.map(\.lisn) }
      }
      return begin(
        Transition(.unmap, steps, phb, isRemoval: true, others: leaving, origin: trace.originIfOn))
    }
    return invalidation(transition, prefault: false)
  }

  /// A PHB's shape, and how many of its interrupts serve a source; nil where there is none.
  /// - Parameter index: which.
  /// - Returns: both.
  public func phb(_ index: PHBIndex) -> (shape: PHBShape, mappedCount: Int)? {
    gate.pass(stripe: 0) {
      guard let phb = phbs[index], !phb.isLeaving else { return nil }
      return (phb.shape, phb.mappedCount)
    }
  }

  /// A PHB interrupt's state; nil where there is none.
  /// - Parameters:
  ///   - irq: which interrupt.
  ///   - index: of which PHB.
  /// - Returns: the state.
  public func state(of irq: HardwareIRQ, phb index: PHBIndex) -> SourceState? {
    gate.pass(stripe: 0) {
      guard let phb = phbs[index], !phb.isLeaving, phb.contains(irq) else { return nil }
      return phb.cells.state(of: irq)
    }
  }

  /// Does what a physical device does.
  ///
  /// While its PHB is fenced a device's messages are lost and its lines are remembered.
  /// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_esb_read`: a fenced PHB's pages give all ones.
  /// - Parameters:
  ///   - operation: what it does.
  ///   - irq: with which interrupt; for fencing any that exists.
  ///   - index: of which PHB.
  /// - Returns: what must be carried out before anybody is told; nil for what mapped pages show soon.
  /// - Throws: ``/PagedDevice/DeviceError/notFound`` for no such PHB or interrupt,
  ///   ``/PagedDevice/DeviceError/invalid`` for a message of a level interrupt or a line of a message.
  public func perform(
    _ operation: HardwareOperation, on irq: HardwareIRQ, phb index: PHBIndex
  ) throws(DeviceError) -> Invalidation? {
    let found = try gate.pass(stripe: Int(irq.rawValue)) { () throws(DeviceError) -> PHB in
      guard let phb = phbs[index], !phb.isLeaving, phb.contains(irq) else { throw .notFound }
      switch operation {
      case .trigger:
        guard !phb.shape.isLSI(irq) else { throw .invalid }
        if !phb.isFenced { perform(.trigger, on: irq, of: phb) }
      case .assert, .deassert:
        guard phb.shape.isLSI(irq) else { throw .invalid }
        let raised: SourceEvent = phb.isFenced ? .hold : .assert
        perform(operation == .assert ? raised : .deassert, on: irq, of: phb)
      case .fence: phb.setFenced(true)
      case .unfence: phb.setFenced(false)
      }
      return phb
    }
    switch operation {
    case .trigger, .assert, .deassert: return nil
    case .fence:
      // Whoever found it open has done what it came for.
      gate.drain()
    case .unfence:
      // Whoever still saw the fence has put its line where it is looked for now.
      gate.drain()
      for irq in found.irqs {
        gate.pass(stripe: Int(irq.rawValue)) { _ = perform(.resume, on: irq, of: found) }
      }
    }
    for irq in found.irqs { refresh(irq, of: found) }
    if trace.isOn { trace.fenced(found, operation == .fence) }
    return Invalidation([])
  }
}
