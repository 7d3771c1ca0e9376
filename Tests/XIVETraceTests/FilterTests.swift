import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Filters", .hangGuard)
struct FilterTests {
  /// What users may write for an option, and which of the sample events it admits.
  struct Case: Sendable, CustomStringConvertible {
    let option: String
    let text: String
    let expected: @Sendable (TraceRecord) -> Bool

    var description: String { "--\(option) \(text)" }
  }

  static func filter(_ option: String, _ text: String) throws -> TraceFilter {
    var filter = TraceFilter()
    switch option {
    case "kind": try filter.addKinds(text)
    case "lisn": try filter.addSources(text)
    case "region": try filter.addRegions(text)
    case "pid": try filter.addProcesses(text)
    case "tid": try filter.addThreads(text)
    case "comm": try filter.addCommand(text)
    case "result": try filter.addResults(text)
    default: try filter.setMinimumTime(text)
    }
    return filter
  }

  static let kinds = TraceKind.allCases.filter { $0 != .task && $0 != .gap }.map { kind in
    Case(option: "kind", text: kind.name) { $0.kind == kind }
  }

  static let cases: [Case] = [
    .init(option: "kind", text: "exact") { $0.kind == .load || $0.kind == .store },
    .init(option: "kind", text: "fill,zap") { $0.kind == .fill || $0.kind == .zap },
    .init(option: "lisn", text: "0x1310-0x1320") { [12, 13, 14].contains($0.sequence) },
    .init(option: "lisn", text: "0x133f") { [12, 13, 14].contains($0.sequence) },
    .init(option: "lisn", text: "0x1340").none,
    .init(option: "lisn", text: "4") { [3, 4].contains($0.sequence) },
    .init(option: "lisn", text: "8").none,
    .init(option: "lisn", text: "17") {
      [1, 2, 6, 10, 18, 19, 20, 24].contains($0.sequence) || $0.kind == .kernelFault
    },
    .init(option: "lisn", text: "4,0x1303-0x1303") {
      [3, 4, 12, 13, 14, 22].contains($0.sequence)
    },
    .init(option: "region", text: "kernel") { [2, 8].contains($0.sequence) },
    .init(option: "region", text: "esb") {
      [1, 3, 4, 6, 9, 10, 13, 18].contains($0.sequence) || $0.kind == .kernelFault
    },
    .init(option: "region", text: "tima") { $0.sequence == 7 },
    .init(option: "region", text: "end,tima,kernel") { [2, 7, 8].contains($0.sequence) },
    .init(option: "region", text: "phb").none,
    .init(option: "region", text: "state").none,
    .init(option: "pid", text: "4700") { _ in true },
    .init(option: "pid", text: "4711").none,
    .init(option: "tid", text: "1,4711") { _ in true },
    .init(option: "tid", text: "4700").none,
    .init(option: "comm", text: "qemu-ppc64") { _ in true },
    .init(option: "comm", text: "qemu").none,
    .init(option: "result", text: "ok") { $0.result == .ok },
    .init(option: "result", text: "failed") { $0.result != .ok },
    .init(option: "result", text: "sigbus") { $0.sequence == 3 },
    .init(option: "result", text: "not-created") { [3, 4].contains($0.sequence) },
    .init(option: "result", text: "EINVAL") { $0.sequence == 9 },
    .init(option: "result", text: "e2big,22") { [9, 24].contains($0.sequence) },
    .init(option: "result", text: "to-host,unchanged") { [10, 21].contains($0.sequence) },
    .init(option: "min-time", text: "14.65") {
      $0.kind != .kernelFault && UInt64($0.queueTime) + UInt64($0.serviceTime) >= 14_650
    },
    .init(option: "min-time", text: "14651ns") {
      $0.kind != .kernelFault && UInt64($0.queueTime) + UInt64($0.serviceTime) > 14_650
    },
    .init(option: "min-time", text: "2ms") { $0.sequence == 16 },
    .init(option: "min-time", text: "2.1ms").none,
  ]

  @Test("Each value admits what it says, and nothing else", arguments: kinds + cases)
  func admits(test: Case) throws {
    let filter = try Self.filter(test.option, test.text)
    for sample in Samples.everyKind where sample.record.kind != .task && sample.record.kind != .gap
    {
      let event = TraceEvent(sample.record, Samples.device.map)
      #expect(
        filter.matches(event, command: "qemu-ppc64") == test.expected(sample.record),
        "\(sample.line)")
    }
  }

  @Test("Names and losses pass every filter; an unknown name passes none of a name")
  func always() throws {
    for option in ["kind fill", "pid 1", "tid 1", "comm x", "result EIO", "min-time 1s", "lisn 1"] {
      let words = option.split(separator: " ").map(String.init)
      let filter = try Self.filter(words[0], words[1])
      for kind in [TraceKind.task, .gap] {
        let event = TraceEvent(Samples.record(kind), Samples.device.map)
        #expect(filter.matches(event, command: nil), "\(option)")
      }
    }
    let filter = try Self.filter("comm", "x")
    #expect(!filter.matches(TraceEvent(Samples.record(.fence), Samples.device.map), command: nil))
  }

  @Test("Several conditions all hold; several values of one, any") func together() throws {
    var filter = TraceFilter()
    try filter.addKinds("fill")
    try filter.addKinds("zap")
    try filter.addResults("ok")
    try filter.addRegions("esb")
    let admitted = Samples.everyKind.map(\.record).filter {
      filter.matches(TraceEvent($0, Samples.device.map), command: nil)
    }
    #expect(admitted.map(\.sequence).filter { $0 != 0 && $0 != 27 } == [1, 13])
  }

  @Test("PHBs are chosen all, or one") func phbs() throws {
    let record = Samples.record(.fill) {
      $0.offset = 19 << 40
      $0.number = 0x1300
    }
    let event = TraceEvent(record, Samples.device.map)
    for (text, isAdmitted) in [("phb", true), ("phb:3", true), ("phb:4", false), ("esb", false)] {
      #expect(
        try Self.filter("region", text).matches(event, command: nil) == isAdmitted, "\(text)")
    }
    #expect(try Self.filter("lisn", "0x1300").matches(event, command: nil))
  }

  @Test(
    "What cannot be read is told with the option and a remedy",
    arguments: [
      "kind fills", "kind fill,", "kind ", "lisn x", "lisn 5-4", "lisn 1-2-3", "lisn -1",
      "lisn 0x100000000", "region esp", "region phb:1024", "region phb:", "pid -1",
      "pid 4294967296",
      "tid abc", "comm ", "result EWHAT", "result 0", "result 128", "result ", "min-time",
      "min-time 5h", "min-time ms", "min-time -1", "min-time 1.2.3us", "min-time 900000s",
    ])
  func refusals(words: String) throws {
    let parts = words.split(separator: " ", maxSplits: 1).map(String.init)
    let text = parts.count > 1 ? parts[1] : ""
    let error = #expect(throws: TraceFilter.Failure.self) { try Self.filter(parts[0], text) }
    let line = error?.description ?? ""
    #expect(line.hasPrefix("--\(parts[0]) '") && line.contains("': write "), "\(line)")
  }

  @Test("A thread's long name is what the kernel keeps of it") func longName() throws {
    #expect(try Self.filter("comm", "a-very-long-name-of").commands == ["a-very-long-nam"])
  }

  @Test("Selected records are told apart") func selection() throws {
    var selection = TraceSelection(try Self.filter("comm", "qemu"), Samples.device.map)
    #expect(selection.take(Samples.record(.fence)) == .unwanted)
    #expect(selection.take(Samples.task("qemu")) == .bookkeeping)
    #expect(selection.take(Samples.record(.fence)) == .event)
    #expect(selection.take(Samples.record(.fill) { $0.cause = .again }) == .bookkeeping)
    #expect(selection.take(Samples.record(.gap)) == .loss)
    #expect(selection.take(Samples.task("other")) == .bookkeeping)
    #expect(selection.take(Samples.record(.fence)) == .unwanted)
  }
}

extension FilterTests.Case {
  fileprivate init(option: String, text: String) {
    self.init(option: option, text: text) { _ in false }
  }

  /// The same, without any event.
  fileprivate var none: Self { Self(option: option, text: text) { _ in false } }
}
