internal import PagedDevice
internal import XIVEModel

/// A page and what serves it at a moment; found and used inside the gate.
struct ServedPage {
  /// Whose state the page shows and changes.
  enum Owner {
    /// A source of the controller's own.
    case source(LISN)
    /// A PHB's interrupt.
    case phb(PHB, HardwareIRQ)
  }

  let owner: Owner
  /// The source whose page it is; nil for a page of a PHB's own region.
  let lisn: LISN?
  /// Which of the source's two pages it is.
  let parity: ESBHalf
  /// How often the source's backing, or the PHB itself, had changed.
  let generation: UInt32

  /// How accesses decode: a PHB's interrupt has one page, a management page, wherever it shows.
  var half: ESBHalf {
    switch owner {
    case .source: parity
    case .phb: .management
    }
  }

  /// Whether it is one of the controller's own pages.
  var isOwn: Bool {
    if case .source = owner { true } else { false }
  }

  /// The identity that its images carry, at the byte offset of the device page.
  func signature(at deviceOffset: UInt64) -> PageSignature {
    var signature = PageSignature(backing: .ipi, deviceOffset: deviceOffset)
    if let lisn { signature.lisn = lisn.rawValue }
    signature.half = parity.rawValue
    signature.generation = UInt64(generation)
    if case .phb(let phb, let irq) = owner {
      signature.backing = .phb
      signature.phb = UInt32(phb.index.rawValue)
      signature.hardwareIRQ = UInt32(irq.rawValue)
    }
    return signature
  }
}

extension XIVEDevice {
  /// Finds what serves a page now, or nil for a hole.
  func served(_ target: PageTarget) -> ServedPage? {
    switch target {
    case .esb(let lisn, let half):
      return served(lisn, half, by: sources.backings[lisn])
    case .phb(let index, let irq):
      guard let phb = phbs[index], !phb.isLeaving, phb.contains(irq) else { return nil }
      return ServedPage(
        owner: .phb(phb, irq), lisn: nil, parity: .management, generation: phb.generation)
    case .connectedTIMA, .tima, .end: return nil
    }
  }

  /// Finds what serves a source's page while its backing is the one that a word says.
  ///
  /// Both pages of a message source that is mapped are the PHB's one page; a level source's even page is a hole,
  /// as is that of any source where sources have one ESB page.
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `xive_native_esb_fault`.
  func served(_ lisn: LISN, _ parity: ESBHalf, by word: BackingWord) -> ServedPage? {
    guard parity == .management || configuration.geometry.pageCount == 2 else { return nil }
    switch word.backing {
    case .ipi:
      return ServedPage(
        owner: .source(lisn), lisn: lisn, parity: parity, generation: word.generation)
    case .phb(let index, let irq):
      guard let phb = phbs[index], phb.contains(irq) else { return nil }
      guard parity == .management || !phb.shape.isLSI(irq) else { return nil }
      return ServedPage(
        owner: .phb(phb, irq), lisn: lisn, parity: parity, generation: word.generation)
    case nil: return nil
    }
  }

  /// The PQ that a page shows; nil when it shows all ones.
  func pq(of page: ServedPage) -> PQ? {
    switch page.owner {
    case .source(let lisn): engine.cells.state(of: lisn).pq
    case .phb(let phb, let irq): phb.isFenced ? nil : phb.cells.state(of: irq).pq
    }
  }

  /// What an operation on a page asks of its owner; nil where nothing happens.
  func event(for operation: ESBOperation, on page: ServedPage) -> SourceEvent? {
    switch page.owner {
    case .source: engine.event(for: operation)
    case .phb(let phb, _):
      phb.isFenced ? nil : operation.event(supportsStoreEOI: phb.shape.supportsStoreEOI)
    }
  }

  /// Performs an event on a page's owner.
  /// - Returns: the value that a load gives.
  @discardableResult
  func perform(_ event: SourceEvent, on page: ServedPage) -> UInt64 {
    switch page.owner {
    case .source(let lisn): perform(event, on: lisn)
    case .phb(let phb, let irq): perform(event, on: irq, of: phb)
    }
  }

  /// Performs an event on a PHB's interrupt: what leaves it goes to the source that it serves, or to the host.
  @discardableResult
  func perform(_ event: SourceEvent, on irq: HardwareIRQ, of phb: PHB) -> UInt64 {
    let step = phb.cells.step(event, on: irq)
    if trace.isOn { trace.performed(event, step, on: irq, of: phb) }
    if step.outcome.forwards {
      if let lisn = phb.lisn(servedBy: irq) {
        events.forward(lisn)
      } else {
        counters.hostEvents.add(1, stripe: Int(irq.rawValue))
        if trace.isOn { trace.wentToHost(irq, of: phb) }
      }
    }
    if event != .get { refresh(irq, of: phb) }
    return step.outcome.value
  }

  /// Has the mapped pages of a PHB's interrupt given new bytes: its own, and those of the source that it serves.
  func refresh(_ irq: HardwareIRQ, of phb: PHB) {
    if let lisn = phb.lisn(servedBy: irq) { refresh(lisn) }
    let index = Int(irq.rawValue)
    // Whoever makes a set non-empty passes it on; the others rely on that.
    guard phb.watched.isWatched(index), phb.changed.insert(index),
      changedPHBs.insert(Int(phb.index.rawValue))
    else { return }
    wakeHost()
  }
}
