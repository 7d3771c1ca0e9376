import Testing
import XIVEModel
import XIVETestSupport

@Suite("Offsets as people write them")
struct OffsetNameTests {
  private static let map = DeviceMap(pageShift: 12, sourceCount: 8192, serverCount: 64)

  struct Form: CustomTestStringConvertible, Sendable {
    let text: String
    let offset: UInt64

    init(_ text: String, _ offset: UInt64) {
      self.text = text
      self.offset = offset
    }

    var testDescription: String { text }

    static let all = [
      Form("esb:0:trigger", 0x100_0000_0000),
      Form("esb:0x17:management", 0x100_0002_f000),
      Form("esb:23:management", 0x100_0002_f000),
      Form("esb:0X17:management+0x800", 0x100_0002_f800),
      Form("esb:0x17:management+2048", 0x100_0002_f800),
      Form("esb:0x1fff:management+0xfff", 0x100_03ff_ffff),
      Form("kernel:0:trigger", 0x4000),
      Form("kernel:0x17:management+0xc00", 0x33c00),
      Form("end:8:esn", 0x200_0001_0000),
      Form("end:0x8:ese+0x10", 0x200_0001_1010),
      Form("tima:hw", 0),
      Form("tima:hv", 0x1000),
      Form("tima:os+0x10", 0x2010),
      Form("tima:user", 0x3000),
      Form("tima:2:os", 0x300_0000_a000),
      Form("tima:0x3f:user+8", 0x300_000f_f008),
      Form("phb:0:3", 0x1000_0000_3000),
      Form("phb:0x3ff:0xffff+0x800", 0x40f00_0fff_f800),
      Form("0", 0),
      Form("0x10000002800", 0x100_0000_2800),
      Form("1099511638016", 0x100_0000_2800),
      Form("0xABCdef", 0xabcdef),
      Form("0x1000+0x2000", 0x3000),
      Form("0x3fffffffffffffff", 1 << 62 - 1),
    ]
  }

  @Test("Every form is read", arguments: Form.all)
  func forms(_ form: Form) throws {
    #expect(try OffsetName(form.text, map: Self.map).offset == form.offset)
  }

  @Test("Pages of 64 KiB move what names mean")
  func largePages() throws {
    let map = DeviceMap(pageShift: 16, sourceCount: 8192, serverCount: 64)
    #expect(try OffsetName("esb:0x17:management+0x800", map: map).offset == 0x100_002f_0800)
    #expect(try OffsetName("esb:0:trigger+0xffff", map: map).offset == 0x100_0000_ffff)
    #expect(try OffsetName("kernel:0:trigger", map: map).offset == 0x40000)
    #expect(try OffsetName("tima:os+0x10", map: map).offset == 0x20010)
    #expect(throws: OffsetName.Failure.outOfRange("esb:0:trigger+0x10000")) {
      try OffsetName("esb:0:trigger+0x10000", map: map)
    }
  }

  @Test(
    "Words that follow no form are malformed",
    arguments: [
      "", ":", "::", "esb", "esb:1", "esb:1:", "esb::trigger", "esb:x:trigger", "esb:1:both",
      "esb:1:esn", "esb:1:trigger:2", "ESB:1:trigger", "esb:1:Trigger", " esb:1:trigger",
      "esb:-1:trigger", "esb: 1:trigger", "kernel:1", "kernel:1:os", "end:8", "end:8:trigger",
      "end:x:esn", "tima", "tima:", "tima:guest", "tima:0:guest", "tima:x:os", "tima:0:os:1",
      "phb:0", "phb:a:0", "phb:0:b", "phb:0:0:0", "eas:1:trigger", "1:2:3", "os",
      "-1", "+1", "+", "0x", "0xg", "x10", "ff", "1 ", " 1", "1_000", "0b1", "0x-1", "\u{ff11}",
      "1+", "1+x", "1++2", "1+2+3", "esb:1:trigger+", "esb:1:trigger+0x", "esb:1:trigger+-1",
    ])
  func malformed(_ text: String) {
    #expect(throws: OffsetName.Failure.malformed(text)) { try OffsetName(text, map: Self.map) }
  }

  @Test(
    "A sign within a hexadecimal number is malformed",
    arguments: ["0x-0", "esb:0x-0:trigger", "esb:1:trigger+0x+8", "tima:os+0x-0", "1+0x+1"])
  func signs(_ text: String) {
    #expect(throws: OffsetName.Failure.malformed(text)) { try OffsetName(text, map: Self.map) }
  }

  @Test(
    "What lies beyond the device is out of range",
    arguments: [
      "esb:8192:trigger", "esb:0xffffffff:management", "kernel:8192:management",
      "kernel:0xffffffff:trigger", "end:512:esn", "end:0xffffffff:ese", "tima:64:os",
      "tima:0xffffffff:hw", "esb:1:trigger+0x1000", "tima:os+4096", "phb:0:0+0x1000",
      "esb:1:trigger+0xffffffffffffffff", "0x4000000000000000", "0xffffffffffffffff",
      "0x3fffffffffffffff+1", "0xffffffffffffffff+1", "1+0xffffffffffffffff",
    ])
  func outOfRange(_ text: String) {
    #expect(throws: OffsetName.Failure.outOfRange(text)) { try OffsetName(text, map: Self.map) }
  }

  @Test(
    "A number that no device has room for is out of range too",
    arguments: [
      "esb:0x100000000:trigger", "kernel:0x100000000:trigger", "end:0x100000000:esn",
      "tima:0x100000000:os", "phb:1024:0", "phb:65536:0", "phb:0:65536",
    ])
  func beyondAnyDevice(_ text: String) {
    #expect(throws: OffsetName.Failure.outOfRange(text)) { try OffsetName(text, map: Self.map) }
  }

  @Test("A number of more than 64 bits is refused")
  func beyondWord() {
    #expect(OffsetName.number("18446744073709551615") == .max)
    #expect(OffsetName.number("18446744073709551616") == nil)
    #expect(throws: OffsetName.Failure.self) {
      try OffsetName("18446744073709551616", map: Self.map)
    }
  }

  @Test("A failure shows the user's words")
  func failures() {
    #expect(OffsetName.Failure.malformed("x:y").description.contains("'x:y'"))
    #expect(OffsetName.Failure.outOfRange("esb:9:trigger").description.contains("'esb:9:trigger'"))
  }

  @Test("What a page is called is read as that page", arguments: Layout.all)
  func descriptions(_ layout: Layout) throws {
    var random = Seed.generator(stream: 40 + layout.map.pageShift)
    for _ in 0..<5_000 {
      let target = PageTarget.random(&random)
      let offset = try OffsetName(target.description, map: layout.map).offset
      #expect(offset == layout.map.offset(of: target), "\(target). \(Seed.comment)")
    }
  }

  @Test("Halves and views are read by the names that they print")
  func words() {
    #expect(ESBHalf.allCases.map(\.name) == ["trigger", "management"])
    #expect(ESBHalf.allCases.map { ESBHalf(name: $0.name) } == ESBHalf.allCases)
    #expect(TIMAView.allCases.map(\.name) == ["hw", "hv", "os", "user"])
    #expect(TIMAView.allCases.map { TIMAView(name: $0.name) } == TIMAView.allCases)
    #expect(ESBHalf(name: "eoi") == nil)
    #expect(TIMAView(name: "OS") == nil)
  }
}
