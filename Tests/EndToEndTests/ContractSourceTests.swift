import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

/// The two requests that set an attribute.
enum AttributeForm: String, CaseIterable, CustomTestStringConvertible {
  case pointer = "attr 0"
  case inline = "inline 0"

  var testDescription: String { self == .pointer ? "by pointer" : "inline" }
}

@Suite(
  "Contract: the SOURCE attribute", .enabled(if: Requirement.canMount), .hangGuard)
struct ContractSourceTests {
  private let none = "0000000000000000"
  private let beyond = ["0x100000", "0x100001", "0x1000000000", "0xffffffffffffffff"]

  @Test(
    "A1: a number beyond the device is E2BIG, its last one is not",
    arguments: AttributeForm.allCases)
  func range(_ form: AttributeForm) throws {
    var device = try ContractDevice(["--sources", "1048576"])
    for lisn in beyond {
      #expect(try device.consumer.ask("\(form.rawValue) set 2 \(lisn) \(none)") == "errno E2BIG 7")
    }
    // The check of the number comes first.
    #expect(try device.consumer.ask("attr 0 set 2 0x100000 null") == "errno E2BIG 7")
    #expect(try device.geometry().source_blocks == 0)
    try device.consumer.expect("\(form.rawValue) set 2 0xfffff \(none)")
    #expect(try device.pq(0xfffff) == 1)
    #expect(try device.geometry().source_blocks == 1)
    device.end()
  }

  @Test("A1: the device's own number of sources is the limit", arguments: AttributeForm.allCases)
  func smallerRange(_ form: AttributeForm) throws {
    var device = try ContractDevice(["--sources", "100"])
    try device.consumer.expect("\(form.rawValue) set 2 99 \(none)")
    #expect(try device.consumer.ask("\(form.rawValue) set 2 100 \(none)") == "errno E2BIG 7")
    device.end()
  }

  @Test("A2: a bad pointer is EFAULT, and the block exists afterwards", arguments: ["null", "bad"])
  func badPointers(_ pointer: String) throws {
    var device = try ContractDevice()
    #expect(try device.geometry().source_blocks == 0)
    #expect(try device.consumer.ask("attr 0 set 2 5 \(pointer)") == "errno EFAULT 14")
    #expect(try device.geometry().source_blocks == 1)
    #expect(try device.consumer.ask("attr 0 set 2 2048 \(pointer)") == "errno EFAULT 14")
    #expect(try device.geometry().source_blocks == 2)
    // The block exists, the source does not.
    try device.consumer.map(0, at: device.page(5, .trigger), pages: 2, of: device.map)
    #expect(try device.consumer.load(0, at: 0x1800) == nil)
    #expect(try device.consumer.load(at: device.page(5, .management) + 0x800) == .max)
    device.end()
  }

  @Test("A2: a value that is cut off by unreadable memory is EFAULT", arguments: 0..<8)
  func shortValue(_ byteCount: Int) throws {
    var device = try ContractDevice()
    // The consumer puts the value right in front of a page that cannot be read.
    let value = byteCount == 0 ? "-" : String(repeating: "00", count: byteCount)
    #expect(try device.consumer.ask("attr 0 set 2 5 \(value)") == "errno EFAULT 14")
    #expect(try device.consumer.load(at: device.page(5, .management) + 0x800) == .max)
    try device.create(5)
    #expect(try device.pq(5) == 1)
    device.end()
  }

  @Test(
    "A3, A4: a new source is off, and an active one is again", arguments: AttributeForm.allCases)
  func reset(_ form: AttributeForm) throws {
    var device = try ContractDevice()
    for pq: UInt64 in [1, 0, 2, 3] {
      try device.consumer.expect("\(form.rawValue) set 2 5 \(none)")
      #expect(try device.pq(5) == 1)
      try device.setPQ(5, pq)
    }
    try device.consumer.store(at: device.page(5, .management) + 0xc00)
    try device.consumer.store(at: device.page(5, .trigger))
    #expect(try device.counters().events == 1)
    try device.consumer.expect("\(form.rawValue) set 2 5 \(none)")
    #expect(try device.pq(5) == 1)
    #expect(try device.consumer.load(at: device.page(5, .management)) == 0)
    #expect(try device.counters().events == 1)
    device.end()
  }

  @Test("A4: a mapping shows that its source has been created again")
  func resetWhileMapped() throws {
    var device = try ContractDevice(["--create", "5"])
    try device.consumer.map(0, at: device.page(5, .management), pages: 1, of: device.map)
    try device.setPQ(5, 3)
    #expect(try device.consumer.load(0, at: 0x800) == 3)
    try device.create(5)
    try device.consumer.expect("await 0 0x800 8 1 5000")
    device.end()
  }

  @Test("A5, A6: neither flag is ever cleared by creating again", arguments: AttributeForm.allCases)
  func stickyFlags(_ form: AttributeForm) throws {
    var device = try ContractDevice()
    // Each list of values for one source, and whether its line is up at the end. Asserted counts only
    // together with the level-sensitive flag of the same call.
    let cases: [([UInt8], Bool)] = [
      ([0], false), ([1], false), ([2], false), ([3], true), ([1, 0], false), ([3, 0], true),
      ([3, 1], true), ([1, 3, 0, 0], true), ([0, 2], false), ([0, 3], true),
    ]
    for (index, (values, isAsserted)) in cases.enumerated() {
      let lisn = UInt32(index)
      for value in values {
        try device.consumer.expect("\(form.rawValue) set 2 \(lisn) \(hex(value))00000000000000")
        #expect(try device.pq(lisn) == 1)
      }
      try device.setPQ(lisn, 0)
      let fires = try device.consumer.load(at: device.page(lisn, .management))
      #expect(fires == (isAsserted ? 1 : 0), "after the values \(values)")
      #expect(try device.pq(lisn) == (isAsserted ? 2 : 0), "after the values \(values)")
    }
    device.end()
  }

  @Test("The 62 bits of the value that mean nothing mean nothing")
  func unusedBits() throws {
    var device = try ContractDevice()
    try device.consumer.expect("attr 0 set 2 5 fcffffffffffffff")
    try device.setPQ(5, 0)
    #expect(try device.consumer.load(at: device.page(5, .management)) == 0)
    try device.consumer.expect("inline 0 set 2 5 ffffffffffffffff")
    try device.setPQ(5, 0)
    #expect(try device.consumer.load(at: device.page(5, .management)) == 1)
    device.end()
  }

  @Test("SOURCE has nothing to get", arguments: AttributeForm.allCases)
  func get(_ form: AttributeForm) throws {
    var device = try ContractDevice(["--create", "5"])
    for lisn in ["5", "6", "0x100000"] {
      let answer = try device.consumer.ask("\(form.rawValue) get 2 \(lisn) \(none)")
      #expect(answer == "errno ENXIO 6")
    }
    device.end()
  }

  @Test(
    "A7: HAS_ATTR knows the numbers of the device's sources", arguments: [100, 8_192, 1_048_576])
  func hasSource(_ sources: UInt64) throws {
    var device = try ContractDevice(["--sources", "\(sources)"])
    for lisn in [0, 5, sources - 1] {
      #expect(try device.consumer.ask("attr 0 has 2 \(lisn)") == "ok")
    }
    for lisn in [sources, sources + 1, 1 << 32, .max] {
      #expect(try device.consumer.ask("attr 0 has 2 \(lisn)") == "errno ENXIO 6")
    }
    // Asking creates nothing.
    #expect(try device.geometry().source_blocks == 0)
    device.end()
  }

  @Test("A7: unknown groups and attributes are ENXIO to has, get and set")
  func unknownAttributes() throws {
    var device = try ContractDevice(["--create", "5"])
    for attribute in 0...5 {
      #expect(try device.consumer.ask("attr 0 has 0x50 \(attribute)") == "ok")
    }
    for (group, attribute) in [
      ("0", "0"), ("6", "0"), ("0x3f", "0"), ("0x54", "0"), ("0xffffffff", "5"),
    ] {
      #expect(try device.consumer.ask("attr 0 has \(group) \(attribute)") == "errno ENXIO 6")
      for form in AttributeForm.allCases {
        for verb in ["set", "get"] {
          let command = "\(form.rawValue) \(verb) \(group) \(attribute) \(none)"
          #expect(try device.consumer.ask(command) == "errno ENXIO 6", "\(command)")
        }
      }
    }
    for attribute in ["6", "0x100000000", "0xffffffffffffffff"] {
      #expect(try device.consumer.ask("attr 0 has 0x50 \(attribute)") == "errno ENXIO 6")
      #expect(try device.consumer.ask("inline 0 get 0x50 \(attribute) -") == "errno ENXIO 6")
    }
    #expect(try device.consumer.ask("inline 0 set 0x50 0 \(none)") == "errno ENXIO 6")
    device.end()
  }
}
