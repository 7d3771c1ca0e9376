internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// Group 0x41, PASSTHROUGH: maps and unmaps runs of sources, and tells what one is mapped to.
///
/// The kernel has no such attribute: it maps when both sides of an irq bypass meet. Source: Linux
/// `arch/powerpc/kvm/book3s_hv.c`, `kvmppc_set_passthru_irq`. Differs: the kernel answers 0 when mapping
/// failed, `EAGAIN` beyond 1,024 mapped interrupts, and `ENODEV` for an unknown one.
struct PassthroughGroup: AttributeGroup {
  unowned let device: XIVEDevice

  func has(_ attribute: UInt64) -> Bool { (try? lisn(attribute)) != nil }

  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    let value = try payload.read(xive_passthrough.self)
    let known = XIVE_PASSTHROUGH_UNMAP | XIVE_PASSTHROUGH_PREFAULT
    guard value.flags & ~known == 0 else { throw .invalid }
    let lisn = try lisn(attribute)
    try device.check(value.count, from: lisn)
    guard let number = UInt16(exactly: value.phb), let phb = PHBIndex(rawValue: number),
      let irq = UInt16(exactly: value.first_hwirq)
    else { throw .notFound }
    let run = PassthroughRun(lisn, to: phb, HardwareIRQ(rawValue: irq), count: value.count)
    let prefault = value.flags & XIVE_PASSTHROUGH_PREFAULT != 0
    return value.flags & XIVE_PASSTHROUGH_UNMAP == 0
      ? try device.map(run, prefault: prefault) : try device.unmap(run, prefault: prefault)
  }

  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    guard let word = device.backingWord(of: try lisn(attribute)) else { throw .invalid }
    var value = xive_passthrough_state()
    if case .phb(let phb, let irq) = word.backing {
      value.phb = UInt32(phb.rawValue)
      value.hwirq = UInt32(irq.rawValue)
      value.mapped = 1
    }
    value.generation = UInt64(word.generation)
    try payload.write(value)
  }

  private func lisn(_ attribute: UInt64) throws(DeviceError) -> LISN {
    guard let lisn = device.source(attribute) else { throw .outOfRange }
    return lisn
  }
}
