import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("What a live view draws", .hangGuard)
struct TopScreenTests {
  /// A busy device.
  private static var view: TopView {
    var samples = TopSamples()
    samples.name("qemu-system-x86")
    samples.name("\u{1b}[2Jé", thread: 9)
    for lisn in 0..<60 as Range<UInt32> {
      for _ in 0...lisn { samples.fill(lisn, cause: .unmap) }
      samples.take(.load, TopSamples.map.offset(of: .esb(LISN(rawValue: lisn), .management))) {
        $0.number = lisn
        $0.pq = (before: .reset, after: .pending)
        $0.hardware = (phb: 1_023, irq: 65_535)
        $0.generation = 4_000_000_000
      }
    }
    for thread in 5..<30 as Range<UInt32> { samples.fill(1, thread: thread) }
    for phb in 0..<20 as Range<UInt16> {
      samples.take(.plug) {
        $0.hardware = (phb: phb, irq: 0)
        $0.value = 2_048
      }
    }
    samples.take(.gap) { $0.value = 12_345 }
    return samples.turn()
  }

  @Test(
    "It fits: no more lines than rows, none wider than the screen",
    arguments: [(40, 10), (60, 15), (80, 24), (100, 30), (132, 43), (200, 60), (1, 1), (5, 3)])
  func fits(_ width: Int, _ height: Int) {
    for order in TopOrder.allCases {
      var controls = TopControls(order: order)
      for key in [UInt8(ascii: " "), UInt8(ascii: "h")] {
        let lines = TopScreen(Self.view, title: "/a/b", controls: controls)
          .lines(width: width, height: height)
        #expect(lines.count <= height)
        #expect(lines.allSatisfy { $0.text.count <= width })
        _ = controls.press(key)
      }
    }
  }

  @Test("Every size between 40x10 and 200x60 shows pages; the last line tells the keys")
  func sizes() {
    let view = Self.view
    for width in stride(from: 40, through: 200, by: 7) {
      for height in 10...60 {
        let screen = TopScreen(view, title: "/a/b", controls: TopControls())
        let lines = screen.lines(width: width, height: height)
        #expect(lines.count == height)
        #expect(lines.contains { $0.style == .head && $0.text.hasPrefix("PAGE") })
        #expect(lines.contains { $0.text.hasPrefix("esb:0x3b:management") })
        #expect(lines.last?.text.hasPrefix("by faults  q quit") == true)
      }
    }
  }

  @Test("A screen of 80x24 has all sections, the hottest page first")
  func sections() throws {
    let lines = TopScreen(Self.view, title: "/a/b", controls: TopControls())
      .lines(width: 80, height: 24).map(\.text)
    #expect(lines[0] == "xive trace top  /a/b  2.0 s")
    #expect(lines[1].hasPrefix("per second: fills 928  loads 30  stores 0  write-backs 0  "))
    #expect(lines[2].hasPrefix("us p50/p99: fill 1.0/1.0  exact 0.0/0.0  zap -"))
    #expect(
      lines[3] == "PQ of what was touched: 10 60   lost records: 12345, since the start 12345")
    let head = try #require(lines.firstIndex { $0.hasPrefix("PAGE ") })
    #expect(lines[head + 1].hasPrefix("esb:0x3b:management  "))
    #expect(lines.contains { $0.hasPrefix("qemu-system-x86/71  ") })
    #expect(lines.contains { $0.hasPrefix("plug") && $0.hasSuffix("PHB 19, 2048 MSIs, 0 LSIs") })
  }

  @Test("For scripts everything is there, in whole rows, and no keys")
  func everything() {
    let lines = TopScreen(Self.view, title: "/a/b").everything.map(\.text)
    #expect(lines.count { $0.hasPrefix("esb:") } == 60)
    #expect(lines.contains { $0.contains("PHB 1023:65535 gen 4000000000  zap-unmap") })
    #expect(lines.count { $0.hasPrefix("plug") } == 20)
    #expect(!lines.contains { $0.contains("quit") })
  }

  @Test("What a name could tell the terminal does not reach it")
  func printable() {
    let lines = TopScreen(Self.view, title: "/a\u{1b}]0;x\u{7}").everything.map(\.text)
    #expect(lines.contains { $0.hasPrefix("?[2J?/9  ") })
    #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { (0x20..<0x7f).contains($0.value) } })
  }

  @Test(
    "Narrow screens lose columns in the order of what they say, the page's name never",
    arguments: [
      (
        200,
        [
          "PAGE", "FAULTS/s", "REFAULTS/s", "SIGBUS/s", "EXACT/s", "STORES/s", "US/s", "FAULTS",
          "PQ", "BACKING", "CAUSE",
        ]
      ),
      (80, ["PAGE", "FAULTS/s", "REFAULTS/s", "SIGBUS/s", "EXACT/s", "PQ", "CAUSE"]),
      (40, ["PAGE", "FAULTS/s", "EXACT/s"]),
    ])
  func columns(_ width: Int, _ titles: [String]) throws {
    let lines = TopScreen(Self.view, title: "/a/b", controls: TopControls())
      .lines(width: width, height: 24)
    let head = try #require(lines.first { $0.style == .head })
    #expect(head.text.split(separator: " ").map(String.init) == titles)
  }

  @Test(
    "Rates are short, and what is rare is not nothing",
    arguments: [(0.0, "0"), (0.01, "0.1"), (1.26, "1.3"), (9.96, "10"), (1234.5, "1235")])
  func rates(_ value: Double, _ text: String) { #expect(TopScreen.rate(value) == text) }
}

@Suite("Keys of a live view")
struct TopControlsTests {
  private func pressed(_ keys: String) -> (TopControls, TopControls.Answer) {
    var controls = TopControls()
    var answer = TopControls.Answer.nothing
    for key in keys.utf8 { answer = controls.press(key) }
    return (controls, answer)
  }

  @Test("Each letter chooses its order", arguments: TopOrder.allCases)
  func orders(_ order: TopOrder) throws {
    let (controls, answer) = pressed(String(try #require(order.key)))
    #expect(controls.order == order && answer == .draw)
  }

  @Test(
    "q and Control-C leave, also from the help", arguments: ["q", "Q", "\u{3}", "hq", "h\u{3}"])
  func leaving(_ keys: String) { #expect(pressed(keys).1 == .leave) }

  @Test("Space pauses and goes on; help comes and goes; other keys do nothing")
  func others() {
    #expect(pressed(" ").0.isPaused && !pressed("  ").0.isPaused)
    #expect(pressed("h").0.showsHelp && pressed("?").0.showsHelp)
    #expect(pressed("hx").0 == TopControls())
    #expect(pressed("z").1 == .nothing && pressed("z").0 == TopControls())
    let screen = TopScreen(
      TopModel(TopSamples.map, start: 0).view(), title: "", controls: pressed("h").0)
    #expect(screen.lines(width: 80, height: 24).contains { $0.text == "q, Control-C  leave" })
  }
}
