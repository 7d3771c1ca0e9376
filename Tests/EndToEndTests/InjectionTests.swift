import CXIVE
import Testing
import XIVETestSupport

@Suite("Injection through a mount", .enabled(if: Requirement.canMount), .hangGuard)
struct InjectionTests {
  private static let options = [
    "--sources", "64", "--create", "0-3", "--create", "4-5:lsi", "--phb", "0:8",
  ]

  /// Opens the device as descriptor 0 and, read-only, as 8; eventfds are 1 and 2.
  private func consumer(_ device: borrowing ServedDevice) throws -> Consumer {
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("open 8 \(device.path) ro,direct")
    for slot in 1...2 { try consumer.expect("eventfd \(slot) 0 nonblock") }
    return consumer
  }

  /// Waits until so many injections have been dropped.
  private func awaitRefused(_ count: UInt64, _ consumer: inout Consumer) throws -> Bool {
    try consumer.awaits { consumer in
      let injection: xive_info_injection = try consumer.info(XIVE_INFO_INJECTION)
      return injection.refused == count
    }
  }

  @Test(
    "P11: what is injected while the source is mapped to hardware is dropped; after unmapping it works"
  )
  func p11() throws {
    let device = try ServedDevice(Self.options)
    var consumer = try consumer(device)
    let routes = Payload(UInt64(0x1000), UInt32(0), UInt32(4), UInt32(0), UInt32(0)).hex
    try consumer.expect("attr 0 set 0x43 5 \(routes)")
    try consumer.expect("irqfd 0 0 1 none")
    for turn in 1...3 as ClosedRange<UInt64> {
      try consumer.setPQ(0, 0)
      try consumer.expect("raise 1 1")
      #expect(try consumer.awaitPQ(0, 2))
      try consumer.expect(
        "inline 0 set 0x41 0 \(Payload(UInt32(0), UInt32(2), UInt32(1), UInt32(0)).hex)")
      try consumer.setPQ(0, 0)
      try consumer.expect("raise 1 1")
      #expect(try awaitRefused(3 * turn - 2, &consumer))
      #expect(try consumer.ask("line 0 0 1") == "errno EINVAL 22")
      #expect(try consumer.ask("message 0 0x1000 0 1 5") == "errno EINVAL 22")
      #expect(try awaitRefused(3 * turn, &consumer))
      #expect(try consumer.pq(0) == 0, "the hardware has nothing to do with it")
      try consumer.expect(
        "inline 0 set 0x41 0 \(Payload(UInt32(0), UInt32(2), UInt32(1), UInt32(1)).hex)")
      // As after clr_mapped: pending, and nothing more than that.
      #expect(try consumer.pq(0) == 2)
    }
    try consumer.setPQ(0, 0)
    try consumer.expect("line 0 0 1")
    #expect(try consumer.pq(0) == 2)
    #expect(device.errors.contains("injection into LISN 0x0: it is mapped to hardware"))
  }

  @Test(
    "KVM_IRQ_LINE: a trigger of a message source, the level of an LSI; KVM_IRQ_LINE_STATUS says what came of it"
  )
  func line() throws {
    let device = try ServedDevice(Self.options)
    var consumer = try consumer(device)
    for lisn in [0, 4] as [UInt64] { try consumer.setPQ(lisn, 0) }
    #expect(try consumer.expect("line 0 0 1 status") == "result=0 status=1 level=1")
    #expect(try consumer.expect("line 0 0 0 status") == "result=0 status=0 level=0")
    #expect(try consumer.pq(0) == 2)
    try consumer.expect("line 0 0 1")
    #expect(try consumer.pq(0) == 3, "again is one more event")
    #expect(try consumer.expect("line 0 4 1 status") == "result=0 status=1 level=1")
    #expect(try consumer.expect("line 0 4 1 status") == "result=0 status=0 level=1")
    #expect(try consumer.pq(4) == 2)
    // While the line is high its end begins it anew.
    #expect(try consumer.load(at: managementPage(4)) == 1)
    #expect(try consumer.pq(4) == 2)
    try consumer.expect("line 0 4 0")
    #expect(try consumer.load(at: managementPage(4)) == 0)
    #expect(try consumer.pq(4) == 0)
    for command in ["line 0 9 1", "line 0 64 1", "line 0 0xffffffff 0 status"] {
      #expect(try consumer.ask(command) == "errno EINVAL 22", "\(command)")
    }
    #expect(try consumer.ask("line 8 0 1") == "errno EBADF 9")
    #expect(device.errors.contains("injection into LISN 0x9: it was never created"))
  }

  @Test("KVM_SIGNAL_MSI reaches the vCPU; its result, and every errno")
  func message() throws {
    let device = try ServedDevice(["--sources", "64", "--create", "0-7"])
    var guest = try GuestProcess(on: device.path)
    try guest.consumer.expect("open 8 \(device.path) ro,direct")
    let address: UInt64 = 0x1_fee0_0000
    let routes = Payload(address, UInt32(0x20), UInt32(8), UInt32(0), UInt32(0)).hex
    try guest.consumer.expect("attr 0 set 0x43 0x18 \(routes)")
    #expect(try guest.consumer.expect("message 0 \(address) 0x22 1 0x18") == "1")
    #expect(try guest.consumer.isReadable(within: 20_000))
    #expect(try guest.consumer.load(at: OSView.acknowledge, size: 2) == 0x8006)
    #expect(try guest.entry(0) == 0x8000_0052)
    #expect(try guest.consumer.expect("message 0 \(address) 0x26 1 0x18") == "0", "off")
    try guest.consumer.setPQ(6, 0)
    #expect(try guest.consumer.expect("message 0 \(address) 0x26 1 0x18") == "0", "masked")
    for (command, error) in [
      ("message 0 \(address) 0x22 0 0x18", "errno EINVAL 22"),
      ("message 0 \(address) 0x22 3 0x18", "errno EINVAL 22"),
      ("message 0 \(address) 0x22 1 0x19", "errno ENOENT 2"),
      ("message 0 \(address) 0x28 1 0x18", "errno ENOENT 2"),
      ("message 0 \(address) 0x1f 1 0x18", "errno ENOENT 2"),
      ("message 0 \(address & 0xffff_ffff) 0x22 1 0x18", "errno ENOENT 2"),
      ("message 8 \(address) 0x22 1 0x18", "errno EBADF 9"),
    ] { #expect(try guest.consumer.ask(command) == error, "\(command)") }
    #expect(device.errors.contains("set KVM_MSI_VALID_DEVID and devid"))
  }

  @Test("KVM_CHECK_EXTENSION: what there is, on a read-only descriptor as well")
  func extensions() throws {
    let device = try ServedDevice()
    var consumer = try consumer(device)
    let present = [32, 54, 70, 77, 82, 89, 131, 169]
    for capability in 0...260 {
      let answer = present.contains(capability) ? "ok 1" : "ok 0"
      #expect(try consumer.ask("ioctl-value 8 0xae03 \(capability)") == answer, "\(capability)")
    }
  }

  @Test("KVM_GET_ONE_REG and KVM_SET_ONE_REG: a vCPU's state, and every errno")
  func register() throws {
    let device = try ServedDevice()
    var consumer = try consumer(device)
    let id = XIVE_REG_VP_STATE
    let empty = String(repeating: "0", count: 32)
    #expect(try consumer.ask("register 0 get \(id) \(empty)") == "errno ENXIO 6")
    #expect(try consumer.ask("register 0 set \(id) \(empty)") == "errno ENXIO 6")
    #expect(try consumer.ask("register 0 set \(id) bad") == "errno EFAULT 14")
    try consumer.expect("connect 0 0 2")
    let unused = String(repeating: "0", count: 16)
    let fresh = try consumer.expect("register 0 get \(id) \(empty)")
    #expect(fresh == "00000000ff000000" + unused)
    let changed = "00060200ff000000" + unused
    try consumer.expect("register 0 set \(id) \(changed)")
    #expect(try consumer.load(at: OSView.cppr, size: 1) == 6)
    #expect(try consumer.expect("register 0 get \(id) \(empty)") == changed)
    for command in ["register 0 get \(id) bad", "register 0 set \(id) bad"] {
      #expect(try consumer.ask(command) == "errno EFAULT 14", "\(command)")
    }
    #expect(try consumer.ask("register 0 get \(id + 1) \(empty)") == "errno EINVAL 22")
    #expect(try consumer.ask("register 8 set \(id) \(empty)") == "errno EBADF 9")
  }
}
