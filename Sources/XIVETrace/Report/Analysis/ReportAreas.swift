internal import XIVEModel

/// A part of the device that the map draws as one grid.
struct ReportArea: Hashable, Sendable {
  /// What people call it.
  let name: String
  /// Whose numbers it counts.
  let sort: ReportSubject.Class
  /// The first number of the first cell, and the last number that is drawn.
  let numbers: ClosedRange<UInt32>
  /// Numbers in a cell, a power of two.
  let cellSize: UInt32
  /// The runs of numbers that existed when recording began.
  let existing: [ClosedRange<UInt32>]
  /// Figures by cell.
  private(set) var cells: [ReportCounts]
  /// Figures of all cells.
  private(set) var counts = ReportCounts()

  /// The most cells of one area.
  static let cellLimit: UInt64 = 256

  init(
    _ name: String, _ sort: ReportSubject.Class, _ existing: [ClosedRange<UInt32>],
    _ touched: [UInt32: ReportCounts]
  ) {
    let all = existing.flatMap { [$0.lowerBound, $0.upperBound] } + touched.keys
    let lowest = all.min() ?? 0
    let highest = all.max() ?? 0
    var size: UInt32 = 1
    while UInt64(highest / size) - UInt64(lowest / size) >= Self.cellLimit { size *= 2 }
    let first = lowest / size * size
    self.name = name
    self.sort = sort
    self.existing = existing
    cellSize = size
    numbers = first...highest
    cells = Array(repeating: ReportCounts(), count: Int((highest - first) / size) + 1)
    for (number, figures) in touched {
      cells[Int((number - first) / size)] += figures
      counts += figures
    }
  }

  /// The numbers of a cell.
  func numbers(ofCell cell: Int) -> ClosedRange<UInt32> {
    let first = numbers.lowerBound + UInt32(cell) * cellSize
    return first...first + (cellSize - 1)
  }

  /// Whether anything in a cell existed when recording began.
  func exists(_ cell: Int) -> Bool {
    let numbers = numbers(ofCell: cell)
    // Ascending and apart from each other: the first that does not end in front of the cell decides.
    var low = 0
    var high = existing.count
    while low < high {
      let middle = (low + high) / 2
      if existing[middle].upperBound < numbers.lowerBound {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low < existing.count && existing[low].lowerBound <= numbers.upperBound
  }
}

/// The device's areas.
struct ReportAreas: Sendable {
  /// What the map draws: sources by their use, TIMAs, ENDs, PHBs.
  let drawn: [ReportArea]
  /// How many areas there were besides; those with the fewest faults.
  let leftOut: Int

  /// The most areas that are drawn: a device can have a thousand PHBs.
  static let limit = 16

  init(_ device: TracedDevice, _ pages: ReportPages) {
    var parts: [Part: Content] = [:]
    for run in ReportExistence(device).runs {
      for part in Part.all(run) { parts[part.0, default: Content()].existing.append(part.1) }
    }
    for (page, figures) in pages.figures {
      let number = page.subject.number
      parts[Part(page.subject), default: Content()].touched[number, default: ReportCounts()] +=
        figures.counts
    }
    let all = parts.sorted { $0.key < $1.key }.map { part, content in
      ReportArea(part.name, part.sort, content.existing, content.touched)
    }
    let ranked = all.indices.sorted {
      (all[$1].counts.faults, $0) < (all[$0].counts.faults, $1)
    }
    drawn = ranked.prefix(Self.limit).sorted().map { all[$0] }
    leftOut = all.count - drawn.count
  }

  private struct Content {
    var existing: [ClosedRange<UInt32>] = []
    var touched: [UInt32: ReportCounts] = [:]
  }

  /// The scale of a measure over all cells.
  func scale(_ measure: ReportMeasure) -> ReportScale {
    ReportScale(greatest: drawn.flatMap(\.cells).map { $0[measure] }.max() ?? 0)
  }
}

/// What an area is of.
private struct Part: Hashable, Comparable {
  let sort: ReportSubject.Class
  /// The use of a source's number, or the PHB.
  let index: Int

  init(_ subject: ReportSubject) {
    sort = subject.sort
    switch sort {
    case .source: index = Self.use(subject.number)
    case .phb: index = Int(subject.number >> 16)
    case .end, .server, .connected: index = 0
    }
  }

  private static func use(_ number: UInt32) -> Int {
    NumberSpace.allCases.firstIndex(of: NumberSpace(LISN(rawValue: number))) ?? 0
  }

  /// The parts of a run of subjects, with the numbers of each.
  static func all(_ run: ClosedRange<ReportSubject>) -> [(Self, ClosedRange<UInt32>)] {
    let numbers = run.lowerBound.number...run.upperBound.number
    guard run.lowerBound.sort == .source else { return [(Self(run.lowerBound), numbers)] }
    var result: [(Self, ClosedRange<UInt32>)] = []
    var first = numbers.lowerBound
    for number in numbers {
      let isLast = number == numbers.upperBound
      guard isLast || use(number + 1) != use(first) else { continue }
      result.append((Self(ReportSubject(.source, first)), first...number))
      if !isLast { first = number + 1 }
    }
    return result
  }

  static func < (a: Self, b: Self) -> Bool {
    (a.sort.rawValue, a.index) < (b.sort.rawValue, b.index)
  }

  var name: String {
    switch sort {
    case .source: Self.names[NumberSpace.allCases[index]] ?? NumberSpace.allCases[index].rawValue
    case .phb: "PHB \(index)"
    case .end: "END"
    case .server: "TIMA"
    case .connected: "TIMA of the connected vCPU"
    }
  }

  private static let names: [NumberSpace: String] = [.other: "Other sources"]
}
