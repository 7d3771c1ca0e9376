internal import ArgumentParser
internal import DeviceFile
internal import PagedDevice
internal import XIVEDevice
internal import XIVEModel

/// A device page's size on the command line.
enum PageSize: String, ExpressibleByArgument, CaseIterable {
  case small = "4k"
  case large = "64k"

  var shift: UInt8 { self == .small ? 12 : 16 }
}

/// What a device is made of and how it is served, as options.
struct ServeOptions: ParsableArguments {
  @Option(help: "Number of sources that the device has room for, 1 to 1048576.")
  var sources: UInt32 = 8_192

  @Option(
    help: ArgumentHelp(
      "Sources that exist from the start, such as 16, 0x10-0x1f or 0x1200-0x120f:lsi. Repeatable.",
      valueName: "RANGE[:lsi]"))
  var create: [String] = []

  @Option(
    help: ArgumentHelp(
      "A PHB that is plugged from the start, such as 0:16 or 1:2048:8. Repeatable.",
      valueName: "K:MSIS[:LSIS]"))
  var phb: [String] = []

  @Option(help: "Size of a device page: 4k or 64k.")
  var pageSize: PageSize = .small

  @Option(help: "ESB pages a source: 2 (trigger and management) or 1 (management alone).")
  var esbPages: Int = 2

  @Flag(help: "A store at 400-7ff of a management page ends the interrupt.")
  var storeEoi = false

  @Option(help: "Number of servers (vCPUs) that the device has room for, 1 to 16384.")
  var maxVcpus: UInt32 = 1_024

  @Option(
    help: ArgumentHelp(
      "Milliseconds between two looks for stores to mappings, 0 to 1000; 0: only msync delivers.",
      valueName: "ms"))
  var tick: Int = 1

  @Option(help: "Threads that serve requests, 2 to 64.")
  var threads: Int = 4

  @Flag(help: "Make trace records all the time, not only while somebody reads them (xive trace).")
  var trace = false

  @Option(
    help: ArgumentHelp(
      "Trace records that each thread of the server keeps, 64 to 4194304; 64 bytes each.",
      valueName: "records"))
  var traceRecords: Int = 16_384

  @Option(
    help: ArgumentHelp(
      "Make a mistake at every overmap, for the hot-plug harness to find: zap-first or skip-alias.",
      visibility: .hidden),
    transform: { text in
      guard let mistake = Configuration.Sabotage(rawValue: text) else {
        throw ValidationError("--sabotage '\(text)': write zap-first or skip-alias")
      }
      return mistake
    })
  var sabotage: Configuration.Sabotage?

  func validate() throws {
    try require("--sources", sources, 1...UInt32(LISN.maximumCount))
    try require("--max-vcpus", maxVcpus, 1...UInt32(Server.maximumCount))
    try require("--esb-pages", esbPages, 1...2)
    try require("--tick", tick, 0...1_000)
    try require("--threads", threads, 2...64)
    try require("--trace-records", traceRecords, 64...4_194_304)
    for range in try create.map(SourceRange.init) where range.range.upperBound >= sources {
      throw ValidationError(
        "--create: LISN \(LISN(rawValue: range.range.upperBound)) is beyond the device's \(sources) "
          + "sources: raise --sources or lower the range")
    }
    _ = try plugs
  }

  /// The PHBs that were asked for.
  private var plugs: [PHBPlug] {
    get throws {
      let plugs = try phb.map(PHBPlug.init)
      for (position, plug) in plugs.enumerated()
      where plugs[..<position].contains(where: { $0.index == plug.index }) {
        throw ValidationError(
          "--phb '\(phb[position])': PHB \(plug.index.rawValue) is plugged already")
      }
      return plugs
    }
  }

  private func require<Value: Comparable>(
    _ name: String, _ value: Value, _ range: ClosedRange<Value>
  )
    throws
  {
    guard range.contains(value) else {
      throw ValidationError(
        "\(name): \(value) is out of range: \(range.lowerBound) to \(range.upperBound)")
    }
  }

  /// Makes the device, with its first sources; somebody may hear of what guests do wrong, and of why requests are
  /// refused.
  func makeDevice(
    onGuestError tell: (@Sendable (GuestError) -> Void)? = nil,
    onRefusal refuse: (@Sendable (Refusal) -> Void)? = nil
  ) throws -> XIVEDevice {
    guard let geometry = ESBGeometry(pageShift: pageSize.shift, pageCount: esbPages) else {
      throw DeviceError.invalid
    }
    let device = XIVEDevice(
      Configuration(
        sourceCount: sources, serverCount: maxVcpus, geometry: geometry,
        supportsStoreEOI: storeEoi, sabotage: sabotage, isTraced: trace,
        traceCapacity: traceRecords),
      onGuestError: tell, onRefusal: refuse)
    for range in try create.map(SourceRange.init) {
      for number in range.range {
        try device.createSource(LISN(rawValue: number), isLSI: range.isLSI)
      }
    }
    for plug in try plugs { try device.addPHB(plug.index, plug.shape) }
    return device
  }

  /// How the file is served.
  var fileOptions: DeviceFile.Options {
    var options = DeviceFile.Options()
    options.name = "xive"
    options.tickMilliseconds = tick
    options.threadCount = threads
    return options
  }
}
