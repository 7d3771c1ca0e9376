import DeviceClient
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("PHBs and passthrough", .enabled(if: Requirement.canMount), .hangGuard)
struct PassthroughTests {
  private let shape = PHBShape(msiCount: 12, lsiCount: 4, supportsStoreEOI: true)

  @Test("A PHB is added once, tells its shape, and is removed once")
  func phbs() throws {
    let served = try ServedDevice()
    let device = try XIVEDescriptor(served.path)
    #expect(error { () throws(XIVEClientError) in try device.status(of: 3) } == .noSuchPHB(3))
    try device.addPHB(3, shape)
    try device.addPHB(1_023, PHBShape(msiCount: 0, lsiCount: 1))
    #expect(try device.status(of: 3).shape == shape)
    #expect(try device.status(of: 3).mappedCount == 0)
    #expect(try device.status(of: 1_023).shape == PHBShape(msiCount: 0, lsiCount: 1))
    #expect(
      error { () throws(XIVEClientError) in try device.addPHB(3, shape) } == .phbExists(3))
    try device.removePHB(3)
    #expect(error { () throws(XIVEClientError) in try device.removePHB(3) } == .noSuchPHB(3))
    #expect(error { () throws(XIVEClientError) in try device.status(of: 3) } == .noSuchPHB(3))
    try device.addPHB(3, PHBShape(msiCount: 1))
  }

  @Test("A PHB without interrupts is no PHB, and removes none; one with too many is refused")
  func shapes() throws {
    let served = try ServedDevice()
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    let empty = PHBShape(msiCount: 0)
    #expect(
      error { () throws(XIVEClientError) in try device.addPHB(3, empty) } == .phbShape(3, empty))
    #expect(try device.status(of: 3).shape == shape)
    let large = PHBShape(msiCount: 65_536, lsiCount: 1)
    let refusal = error { () throws(XIVEClientError) in try device.addPHB(4, large) }
    #expect(refusal == .phbShape(4, large))
    #expect(refusal?.errno == .argListTooLong)
    #expect(refusal?.description == "PHB 4: 65537 interrupts: a PHB has 1 to 65536")
    try device.addPHB(4, PHBShape(msiCount: 65_536))
  }

  @Test(
    "A run is mapped and unmapped, and each source tells what serves it", arguments: [false, true])
  func runs(prefault: Bool) throws {
    let served = try ServedDevice(["--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    let run = PassthroughRun(8, to: 3, 2, count: 4)
    try device.map(run, prefault: prefault)
    #expect(try device.status(of: 3).mappedCount == 4)
    for lisn in 0..<32 as Range<UInt32> {
      let status = try device.passthrough(of: LISN(rawValue: lisn))
      let irq = HardwareIRQ(rawValue: UInt16(truncatingIfNeeded: lisn &- 6))
      let isMapped = (8..<12).contains(lisn)
      #expect(status.target == (isMapped ? PassthroughTarget(3, irq) : nil))
      #expect(status.generation == (isMapped ? 2 : 1))
    }
    try device.unmap(run, prefault: prefault)
    #expect(try device.status(of: 3).mappedCount == 0)
    #expect(try device.passthrough(of: 8).target == nil)
    #expect(try device.passthrough(of: 8).generation == 3)
  }

  @Test("A removed PHB serves nobody")
  func removal() throws {
    let served = try ServedDevice(["--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    try device.map(PassthroughRun(8, to: 3, 2, count: 4))
    try device.removePHB(3)
    #expect(try device.passthrough(of: 9).target == nil)
    try device.createSource(9)
    try device.trigger(9)
    #expect(try device.pq(of: 9) == .off)
  }

  @Test("A run that cannot be mapped is named, with what is in its way, and nothing changes")
  func mapRefusals() throws {
    let served = try ServedDevice(["--sources", "64", "--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    try device.map(PassthroughRun(8, to: 3, 2, count: 4))
    let cases: [(PassthroughRun, XIVEClientError, Errno, String)] = [
      (
        PassthroughRun(0, to: 4, 0), .noSuchInterrupts(PassthroughRun(0, to: 4, 0)),
        .noSuchFileOrDirectory, "LISN 0x0 on PHB 4, interrupt 0: there is no such PHB"
      ),
      (
        PassthroughRun(0, to: 3, 13, count: 4),
        .noSuchInterrupts(PassthroughRun(0, to: 3, 13, count: 4)), .noSuchFileOrDirectory,
        "LISNs 0x0-0x3 on PHB 3, interrupts 13-16: there is no such PHB"
      ),
      (
        PassthroughRun(11, to: 3, 6, count: 2), .cannotMap(PassthroughRun(11, to: 3, 6, count: 2)),
        .invalidArgument, "LISNs 0xb-0xc on PHB 3, interrupts 6-7: a source was never created"
      ),
      (
        PassthroughRun(31, to: 3, 6, count: 2), .cannotMap(PassthroughRun(31, to: 3, 6, count: 2)),
        .invalidArgument, "LISNs 0x1f-0x20 on PHB 3"
      ),
      (
        PassthroughRun(0, to: 3, 5, count: 2), .cannotMap(PassthroughRun(0, to: 3, 5, count: 2)),
        .invalidArgument, "LISNs 0x0-0x1 on PHB 3, interrupts 5-6"
      ),
      (
        PassthroughRun(0, to: 3, 0, count: 0), .emptyRun(PassthroughRun(0, to: 3, 0, count: 0)),
        .invalidArgument, "no LISN from 0x0 on: a run has at least one interrupt"
      ),
      (
        PassthroughRun(63, to: 3, 6, count: 2), .noSuchSource(64, count: 64), .argListTooLong,
        "LISN 0x40: this device has 64 sources"
      ),
      (
        PassthroughRun(0xffff_ffff, to: 3, 6, count: 2), .noSuchSource(0xffff_ffff, count: 64),
        .argListTooLong, "LISN 0xffffffff: this device has 64 sources"
      ),
    ]
    for (run, expected, errno, words) in cases {
      let refusal = error { () throws(XIVEClientError) in try device.map(run) }
      #expect(refusal == expected)
      #expect(refusal?.errno == errno)
      #expect(refusal?.description.hasPrefix(words) == true, "\(String(describing: refusal))")
    }
    #expect(try device.status(of: 3).mappedCount == 4)
  }

  @Test("Only what is mapped is unmapped")
  func unmapRefusals() throws {
    let served = try ServedDevice(["--sources", "64", "--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    try device.map(PassthroughRun(8, to: 3, 2, count: 4))
    for run in [
      PassthroughRun(8, to: 3, 3, count: 3), PassthroughRun(7, to: 3, 1, count: 4),
      PassthroughRun(8, to: 3, 2, count: 5), PassthroughRun(8, to: 4, 2, count: 4),
      PassthroughRun(40, to: 3, 0, count: 1),
    ] {
      let refusal = error { () throws(XIVEClientError) in try device.unmap(run) }
      #expect(refusal == .notMapped(run))
      #expect(refusal?.errno == .noSuchFileOrDirectory)
      #expect(refusal?.description.hasSuffix(": not mapped so: unmap what was mapped") == true)
    }
    let empty = PassthroughRun(8, to: 3, 2, count: 0)
    #expect(error { () throws(XIVEClientError) in try device.unmap(empty) } == .emptyRun(empty))
    #expect(try device.status(of: 3).mappedCount == 4)
    // A part of a run may go.
    try device.unmap(PassthroughRun(9, to: 3, 3, count: 2))
    #expect(try device.status(of: 3).mappedCount == 2)
  }

  @Test("A source that was never created, or is beyond the device's, is served by nothing")
  func statusRefusals() throws {
    let served = try ServedDevice(["--sources", "64", "--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    let never = error { () throws(XIVEClientError) in try device.passthrough(of: 32) }
    #expect(never == .notCreated(32))
    #expect(never?.description == "LISN 0x20: was never created: create it first")
    let beyond = error { () throws(XIVEClientError) in try device.passthrough(of: 64) }
    #expect(beyond == .noSuchSource(64, count: 64))
  }

  @Test("What the physical device does arrives in its interrupt, and in the source that it serves")
  func hardware() throws {
    let served = try ServedDevice(["--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    try device.map(PassthroughRun(8, to: 3, 2, count: 4))
    try device.setPQ(of: 9, to: .reset)
    try device.perform(.trigger, phb: 3, irq: 3)
    #expect(try device.state(phb: 3, irq: 3).pq == .pending)
    #expect(try device.pq(of: 9) == .pending)
    #expect(try device.state(phb: 3, irq: 4).pq == device.pq(of: 10))
    try device.perform(.fence, phb: 3, irq: 0)
    #expect(try device.pq(of: 9) == nil)
    try device.perform(.unfence, phb: 3, irq: 0)
    #expect(try device.pq(of: 9) == .pending)
    for (operation, isAsserted) in [(.assert, true), (.deassert, false)]
      as [(HardwareOperation, Bool)]
    {
      try device.perform(operation, phb: 3, irq: 12)
      #expect(try device.state(phb: 3, irq: 12).isAsserted == isAsserted)
    }
  }

  @Test("An operation that its interrupt does not take is refused, and so is one of no interrupt")
  func hardwareRefusals() throws {
    let served = try ServedDevice()
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    for (operation, irq) in [(.assert, 11), (.deassert, 0), (.trigger, 12)]
      as [(HardwareOperation, HardwareIRQ)]
    {
      let refusal = error { () throws(XIVEClientError) in
        try device.perform(operation, phb: 3, irq: irq)
      }
      #expect(refusal == .operation(operation, 3, irq))
      let words = "PHB 3, interrupt \(irq.rawValue): does not \(operation): an LSI has a line"
      #expect(refusal?.description.hasPrefix(words) == true)
    }
    for (phb, irq) in [(3, 16), (4, 0)] as [(PHBIndex, HardwareIRQ)] {
      for operation in HardwareOperation.allCases {
        #expect(
          error { () throws(XIVEClientError) in
            try device.perform(operation, phb: phb, irq: irq)
          } == .noSuchInterrupt(phb, irq))
      }
      #expect(
        error { () throws(XIVEClientError) in try device.state(phb: phb, irq: irq) }
          == .noSuchInterrupt(phb, irq))
    }
  }

  @Test("A descriptor for reading sees everything and changes nothing")
  func readOnly() throws {
    let served = try ServedDevice(["--create", "0-31"])
    let device = try XIVEDescriptor(served.path)
    try device.addPHB(3, shape)
    let viewer = try XIVEDescriptor(served.path, isWritable: false)
    let run = PassthroughRun(8, to: 3, 2, count: 4)
    #expect(try viewer.status(of: 3).shape == shape)
    #expect(try viewer.passthrough(of: 8).target == nil)
    #expect(try viewer.state(phb: 3, irq: 0).pq == .off)
    let refusals = [
      error { () throws(XIVEClientError) in try viewer.addPHB(4, shape) },
      error { () throws(XIVEClientError) in try viewer.removePHB(3) },
      error { () throws(XIVEClientError) in try viewer.map(run) },
      error { () throws(XIVEClientError) in try viewer.unmap(run) },
      error { () throws(XIVEClientError) in try viewer.perform(.trigger, phb: 3, irq: 0) },
    ]
    #expect(refusals.map { $0?.errno } == Array(repeating: .badFileDescriptor, count: 5))
    #expect(try device.status(of: 3) == viewer.status(of: 3))
  }

  private func error<Value: ~Copyable>(_ call: () throws(XIVEClientError) -> Value)
    -> XIVEClientError?
  {
    refusal(call)
  }
}
