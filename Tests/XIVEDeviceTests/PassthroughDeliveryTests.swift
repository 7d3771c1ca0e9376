import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Delivery of a passed-through device's interrupts")
struct PassthroughDeliveryTests {
  /// Server 0 takes everything; sources 0 to 3 have numbers of their own; PHB 0 is there.
  private func machine() throws -> Machine {
    let machine = try Machine(Rig.withPHB(), cpus: 1)
    for source in UInt32(0)..<4 { try machine.start(source, on: 0, eisn: 0x40 + source) }
    return machine
  }

  /// The entries so far.
  private func entries(_ machine: Machine) -> [UInt32] {
    machine.entries(0, 8).filter { $0 != 0 }.map { $0 & 0x7fff_ffff }
  }

  @Test("P10: a device's events carry the guest's own number, and go to the host while unmapped")
  func numbers() throws {
    let machine = try machine()
    let rig = machine.rig
    try rig.setHardwarePQ(2, .reset)
    try rig.hardware(.trigger, 2)
    #expect(rig.hostEvents == 1 && entries(machine).isEmpty)
    try rig.setHardwarePQ(2, .reset)
    try rig.map(1, to: 2)
    // Pending without an entry, until the guest ends it.
    try machine.endMessage(1)
    try rig.hardware(.trigger, 2)
    #expect(entries(machine) == [0x41])
    #expect(try machine.acknowledge(0) == 0x8006)
    try machine.endMessage(1)
    // Routed anew while it is mapped.
    try machine.route(1, to: 0, eisn: 0x99)
    try rig.hardware(.trigger, 2)
    #expect(entries(machine) == [0x41, 0x99])
    try machine.endMessage(1)
    // A guest's own trigger of a mapped source goes the same way.
    try machine.trigger(1)
    #expect(entries(machine) == [0x41, 0x99, 0x99])
    #expect(rig.hostEvents == 1)
  }

  @Test("P9: what is pending at a map is delivered once, whoever had it", arguments: [false, true])
  func pendingAtMap(isInSource: Bool) throws {
    let machine = try machine()
    let rig = machine.rig
    try rig.setHardwarePQ(2, .reset)
    if isInSource {
      rig.setPQ(1, .queued)
    } else {
      try rig.setHardwarePQ(2, .pending)
    }
    try rig.map(1, to: 2)
    #expect(entries(machine).isEmpty)
    try machine.endMessage(1)
    #expect(entries(machine) == [0x41])
    try machine.endMessage(1)
    #expect(entries(machine) == [0x41])
    #expect(rig.hardwarePQ(2) == .reset && rig.hostEvents == 0)
  }

  @Test("P9: what is pending at an unmap is delivered once: a queued event to the host")
  func pendingAtUnmap() throws {
    let machine = try machine()
    let rig = machine.rig
    try rig.map(1, to: 2)
    try machine.endMessage(1)
    for _ in 0..<3 { try rig.hardware(.trigger, 2) }
    #expect(entries(machine) == [0x41] && rig.hardwarePQ(2) == .queued)
    try rig.unmap(1, from: 2)
    #expect(rig.hostEvents == 1)
    #expect(rig.pq(1) == .pending)
    try machine.trigger(1)
    #expect(entries(machine) == [0x41])
    try machine.endMessage(1)
    #expect(entries(machine) == [0x41, 0x41])
  }

  @Test("A PHB's level interrupt comes again until its line falls")
  func level() throws {
    let machine = try machine()
    let rig = machine.rig
    try rig.setHardwarePQ(4, .reset)
    try rig.map(1, to: 4)
    try machine.load(1, at: 0)
    try rig.hardware(.assert, 4)
    #expect(entries(machine) == [0x41])
    #expect(try machine.load(1, at: 0) == 1)
    #expect(entries(machine) == [0x41, 0x41])
    try rig.hardware(.deassert, 4)
    #expect(try machine.load(1, at: 0) == 0)
    #expect(entries(machine) == [0x41, 0x41])
  }

  @Test("A source that is masked drops what its device sends; nothing goes to the host")
  func masked() throws {
    let machine = try machine()
    try machine.rig.map(1, to: 2)
    try machine.endMessage(1)
    try machine.route(1, to: 0, eisn: 0x41, isMasked: true)
    try machine.rig.hardware(.trigger, 2)
    #expect(entries(machine).isEmpty)
    #expect(machine.counts.masked == 1 && machine.rig.hostEvents == 0)
  }

  @Test("A fenced PHB's messages are lost; unfenced, it delivers again")
  func fenced() throws {
    let machine = try machine()
    try machine.rig.map(1, to: 2)
    try machine.endMessage(1)
    try machine.rig.hardware(.fence, 0)
    try machine.rig.hardware(.trigger, 2)
    #expect(entries(machine).isEmpty)
    try machine.rig.hardware(.unfence, 0)
    try machine.rig.hardware(.trigger, 2)
    #expect(entries(machine) == [0x41])
  }
}
