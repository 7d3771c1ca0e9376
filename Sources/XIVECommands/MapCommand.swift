internal import ArgumentParser
internal import XIVEClient
internal import XIVEModel

/// `xive map`: the segments that exist now.
struct MapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "map",
    abstract: "List the segments of a device file that exist now, and its vCPUs.",
    discussion: """
      Everything else is a hole: a touch there raises SIGBUS. With --json the device's counters come along: what it \
      did, what became of events, what guests did wrong.
      """)

  @Argument(help: "The device file.") var path: String
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    try reporting {
      let device = try XIVEDescriptor(path, isWritable: false)
      let segments = try MapSegment.all(of: device)
      let vcpus = try MapVCPU.all(of: device, segments.compactMap(\.server))
      if json {
        try printJSON(try MapReport(device, segments, vcpus))
      } else {
        print(DeviceSummary(device.geometry).text)
        for line in try MapMachine(device).lines { print(line) }
        print(MapSegment.table(segments))
        for vcpu in vcpus { print(vcpu.text) }
      }
    }
  }
}

/// One line about a device.
struct DeviceSummary {
  let text: String

  init(_ geometry: DeviceGeometry) {
    let pages = geometry.pagesPerSource == 2 ? "2 ESB pages" : "1 ESB page"
    text =
      "room for \(geometry.sourceCount) sources of \(pages) and \(geometry.serverCount) servers; "
      + "device page \(geometry.map.pageByteCount / 1_024) KiB; "
      + "StoreEOI \(geometry.supportsStoreEOI ? "on" : "off")"
  }
}

/// A run of pages of one kind, with the name that people know it by.
struct MapSegment: Encodable {
  let region: String
  let offset: UInt64
  let offsetHex: String
  let byteCount: UInt64
  let pages: UInt64
  var what: String
  var firstLISN: UInt32?
  var lastLISN: UInt32?
  var phb: PHB?
  /// The vCPU whose page it is.
  let server: UInt32?

  /// A PHB, for programs.
  struct PHB: Encodable {
    let index: UInt16
    let msis: UInt32
    let lsis: UInt32
    let storeEOI: Bool
    let mapped: UInt32
  }

  /// The segments of a device, ESB runs cut where the pseries use of the numbers changes.
  static func all(of device: borrowing XIVEDescriptor) throws(XIVEClientError) -> [MapSegment] {
    let map = device.map
    return try device.segments().flatMap { range in
      if case .phb(let phb, _) = map.target(at: range.lowerBound) {
        return [MapSegment(range, map, phb: phb, try? device.status(of: phb))]
      }
      return split(range, map)
    }
  }

  /// The own pages of a PHB; it may have gone since its pages were listed.
  private init(_ range: Range<UInt64>, _ map: DeviceMap, phb: PHBIndex, _ status: PHBStatus?) {
    self.init(range, map)
    guard let status else { return }
    let shape = status.shape
    what =
      "PHB \(phb.rawValue): \(shape.msiCount) MSIs, \(shape.lsiCount) LSIs, \(status.mappedCount) mapped"
    self.phb = PHB(
      index: phb.rawValue, msis: shape.msiCount, lsis: shape.lsiCount,
      storeEOI: shape.supportsStoreEOI, mapped: status.mappedCount)
  }

  private static func split(_ range: Range<UInt64>, _ map: DeviceMap) -> [MapSegment] {
    guard case .esb(let first, _) = map.target(at: range.lowerBound),
      case .esb(let last, _) = map.target(at: range.upperBound - 1)
    else { return [MapSegment(range, map)] }
    var result: [MapSegment] = []
    var start = first.rawValue
    while start <= last.rawValue {
      let use = NumberSpace(LISN(rawValue: start))
      var end = start
      while end < last.rawValue, NumberSpace(LISN(rawValue: end + 1)) == use { end += 1 }
      let offset = range.lowerBound + UInt64(start - first.rawValue) * 2 * map.pageByteCount
      let count = UInt64(end - start + 1) * 2 * map.pageByteCount
      result.append(MapSegment(offset..<offset + count, map, start...end, use))
      start = end + 1
    }
    return result
  }

  private init(
    _ range: Range<UInt64>, _ map: DeviceMap, _ sources: ClosedRange<UInt32>? = nil,
    _ use: NumberSpace = .other
  ) {
    region = Self.name(range.lowerBound)
    offset = range.lowerBound
    offsetHex = hexadecimal(range.lowerBound)
    byteCount = UInt64(range.count)
    pages = UInt64(range.count) >> map.pageShift
    firstLISN = sources?.lowerBound
    lastLISN = sources?.upperBound
    if case .tima(let server, _) = map.target(at: range.lowerBound) {
      self.server = server.rawValue
    } else {
      server = nil
    }
    if let sources {
      let numbers = [sources.lowerBound, sources.upperBound].map { LISN(rawValue: $0).description }
      what = "ESB pages of LISN \(numbers[0])-\(numbers[1]) (\(use.rawValue))"
    } else {
      what = Self.describe(range, map)
    }
  }

  /// A run of pages that are no sources': the ENDs by their servers, others by their name.
  private static func describe(_ range: Range<UInt64>, _ map: DeviceMap) -> String {
    let pages = [range.lowerBound, range.upperBound - 1].map { map.target(at: $0) }
    if case .end(let first, _) = pages[0], case .end(let last, _) = pages[1] {
      let servers = (first / 8, last / 8)
      return servers.0 == servers.1
        ? "END ESB pages of server \(servers.0)"
        : "END ESB pages of servers \(servers.0)-\(servers.1)"
    }
    return pages[0]?.description ?? "-"
  }

  private static func name(_ offset: UInt64) -> String {
    switch Region(rawValue: offset >> Region.shift) {
    case .kernel: "kernel"
    case .esb: "esb"
    case .end: "end"
    case .tima: "tima"
    case .phb(let index): "phb \(index.rawValue)"
    case .sourceState: "source state"
    case .trace: "trace"
    case nil: "-"
    }
  }

  /// The segments as a table for people.
  static func table(_ segments: [MapSegment]) -> String {
    let head = ["region", "offset", "pages", "what"]
    let rows = segments.map {
      [$0.region, hexadecimal($0.offset, digits: 11), "\($0.pages)", $0.what]
    }
    return XIVECommands.table([head] + rows, rightAligned: [2])
  }
}
