import DeviceClient
import SystemCalls
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Mappings", .enabled(if: Requirement.canMount), .hangGuard)
struct MappingTests {
  private static let geometries: [[String]] = ["4k", "64k"].flatMap { size in
    ["2", "1"].map { ["--page-size", size, "--esb-pages", $0] }
  }

  @Test("The kernel's window maps whole or in part from its two starts: M1, M2, M5, M6")
  func window() throws {
    let served = try ServedDevice(["--sources", "1048576"])
    let device = try XIVEDescriptor(served.path)
    for (offset, count) in [(0, 4), (0, 1), (4, 1), (4, 16_384), (4, 2_097_152)]
      as [(UInt64, UInt64)]
    {
      let region = try device.mapKernelWindow(pageOffset: offset, pageCount: count)
      #expect(UInt64(region.byteCount) == count * 4_096)
    }
  }

  @Test("The kernel's window is refused elsewhere and beyond its end: M3, M4, M6, M7")
  func windowRefusals() throws {
    let served = try ServedDevice(["--sources", "1048576"])
    let device = try XIVEDescriptor(served.path)
    var refused: [(UInt64, UInt64)] = [
      (0, 0), (0, 5), (4, 0), (4, 2_097_153), (4, .max), (0, .max),
    ]
    refused += [1, 2, 3, 5, 6, 20, 1 << 28, 1 << 52, .max].map { ($0, 1) }
    for (offset, count) in refused {
      let error = refusal { () throws(XIVEClientError) in
        try device.mapKernelWindow(pageOffset: offset, pageCount: count)
      }
      #expect(error == .window(pageOffset: offset, pageCount: count))
      #expect(error?.errno == .invalidArgument)
      #expect(error?.description.hasPrefix("\(count) pages at page offset \(offset):") == true)
    }
    #expect(try mappingCount(of: served.path) == 0)
  }

  @Test("The ESB window ends with the device's sources")
  func windowOfFewSources() throws {
    let served = try ServedDevice(["--sources", "8"])
    let device = try XIVEDescriptor(served.path)
    #expect(try device.mapKernelWindow(pageOffset: 4, pageCount: 16).byteCount == 16 * 4_096)
    let error = refusal { () throws(XIVEClientError) in
      try device.mapKernelWindow(pageOffset: 4, pageCount: 17)
    }
    #expect(error == .window(pageOffset: 4, pageCount: 17))
  }

  @Test("M10, 6.34: a private mapping is refused")
  func privateMapping() throws {
    let served = try ServedDevice()
    let device = try XIVEDescriptor(served.path)
    let error = refusal { () throws(XIVEClientError) in
      try device.mapKernelWindow(pageOffset: 4, pageCount: 2, sharing: .private)
    }
    #expect(error == .device(.privateMapping(offset: 4 * 4_096)))
    #expect(error?.errno == .invalidArgument)
    #expect(throws: DeviceClientError.privateMapping(offset: 0)) {
      try withoutResult(device.device.map(offset: 0, byteCount: 4_096, sharing: .private))
    }
  }

  @Test("A part of a device page cannot be mapped, nor nothing", arguments: ["4k", "64k"])
  func unaligned(pageSize: String) throws {
    let served = try ServedDevice(["--page-size", pageSize])
    let device = try DeviceDescriptor(served.path)
    let page = device.pageByteCount
    for (offset, count) in [
      (0, 0), (0, -page), (1, page), (page / 2, page), (0, page / 2), (0, page + 1),
    ] {
      let expected = DeviceClientError.unaligned(offset: UInt64(offset), byteCount: count)
      #expect(throws: expected) {
        try withoutResult(device.map(offset: UInt64(offset), byteCount: count))
      }
      #expect(expected.errno == .invalidArgument)
    }
  }

  @Test("Offsets that no file has are refused by the system, with the offset")
  func beyondFiles() throws {
    let served = try ServedDevice()
    let device = try DeviceDescriptor(served.path)
    for offset in [1 << 63, .max - 4_095] as [UInt64] {
      let error = #expect(throws: DeviceClientError.self) {
        try withoutResult(device.map(offset: offset, byteCount: 4_096))
      }
      guard case .map(offset, byteCount: 4_096, _) = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
  }

  @Test("A signature tells which page a mapping shows", arguments: geometries)
  func signatures(_ options: [String]) throws {
    let served = try ServedDevice(["--sources", "64", "--create", "33"] + options)
    let device = try XIVEDescriptor(served.path)
    let page = Int(device.map.pageByteCount)
    let pages = try device.mapSource(33)
    let window = try device.mapKernelWindow(pageOffset: 4, pageCount: 128)
    let halves: [ESBHalf] =
      device.geometry.pagesPerSource == 2 ? [.trigger, .management] : [.management]
    for half in halves {
      let inPair = Int(half.rawValue) * page
      let own = pages.signature(ofPageAt: inPair)
      expect(try #require(own), 33, half, at: device.map.offset(of: .esb(33, half)))
      let kernels = window.signature(ofPageAt: 66 * page + inPair)
      expect(try #require(kernels), 33, half, at: device.map.kernelOffset(of: 33, half))
      // Every 4 KiB of a device page has it.
      #expect(pages.signature(ofPageAt: inPair + page - 4_096) == own)
    }
    let tima = try device.mapTIMA()
    let os = tima.signature(ofPageAt: 2 * page)
    #expect(os?.backing == .tima && os?.lisn == PageSignature.noSource)
    #expect(os?.deviceOffset == UInt64(2 * page))
  }

  private func expect(
    _ signature: PageSignature, _ lisn: LISN, _ half: ESBHalf, at offset: UInt64
  ) {
    #expect(signature.lisn == lisn.rawValue)
    #expect(signature.half == half.rawValue)
    #expect(signature.backing == .ipi)
    #expect(signature.generation == 1)
    #expect(signature.deviceOffset == offset)
  }

  @Test("There is no signature in the middle of a page")
  func noSignature() throws {
    let served = try ServedDevice(["--create", "0"])
    let device = try XIVEDescriptor(served.path)
    let pages = try device.mapSource(0)
    #expect(pages.signature(ofPageAt: 0) != nil)
    #expect(pages.signature(ofPageAt: 8) == nil)
  }

  @Test(
    "A mapping shows PQ as it is, whoever changes it, and in both windows", arguments: geometries)
  func livePQ(_ options: [String]) throws {
    let served = try ServedDevice(["--sources", "8", "--create", "5"] + options)
    let device = try XIVEDescriptor(served.path)
    let viewer = try XIVEDescriptor(served.path, isWritable: false)
    let page = Int(device.map.pageByteCount)
    let pages = try viewer.mapSource(5)
    let window = try viewer.mapKernelWindow(pageOffset: 4, pageCount: 16)
    #expect(pages.load(at: page + 0x800) == 1)
    #expect(window.load(at: 11 * page + 0x800) == 1)
    for pq in [.reset, .pending, .queued, .off, .reset] as [PQ] {
      try device.setPQ(of: 5, to: pq)
      #expect(pages.load(at: page + 0x800, until: UInt64(pq.rawValue)) == UInt64(pq.rawValue))
      #expect(
        window.load(at: 12 * page - 4_096 + 0xbf8, until: UInt64(pq.rawValue))
          == UInt64(pq.rawValue))
    }
    try device.trigger(5)
    #expect(pages.load(at: page + 0x800, until: 2) == 2)
  }

  @Test("A store to a mapped trigger page triggers once it is synchronized")
  func mappedTrigger() throws {
    let served = try ServedDevice(["--create", "0", "--tick", "0"])
    let device = try XIVEDescriptor(served.path)
    try device.setPQ(of: 0, to: .reset)
    let pages = try device.mapSource(0)
    pages.store(0, at: 0)
    #expect(try device.pq(of: 0) == .reset)
    try pages.synchronize()
    #expect(try device.pq(of: 0) == .pending)
    // The whole mapping was synchronized: the management page had nothing to deliver.
    #expect(try device.counters().mappedStores == 1)
  }

  @Test("A descriptor for reading maps for reading, and cannot be talked into more")
  func readOnly() throws {
    let served = try ServedDevice(["--create", "0"])
    let viewer = try XIVEDescriptor(served.path, isWritable: false)
    let isWritable = viewer.device.isWritable
    #expect(!isWritable)
    #expect(try viewer.mapSource(0).load(at: 0x1800) == 1)
    #expect(try viewer.mapTIMA().byteCount == 4 * 4_096)
    #expect(throws: DeviceClientError.map(offset: 0, byteCount: 4_096, .permissionDenied)) {
      try withoutResult(viewer.device.map(offset: 0, byteCount: 4_096, isWritable: true))
    }
  }

  @Test("A mapping unmaps itself when its owner goes")
  func unmaps() throws {
    let served = try ServedDevice(["--create", "0-3"])
    let device = try XIVEDescriptor(served.path)
    func map() throws -> Int {
      let first = try device.mapSource(0)
      let second = try device.mapSource(2)
      #expect(first.load(at: 0x1800) == 1 && second.load(at: 0x1800) == 1)
      return try mappingCount(of: served.path)
    }
    #expect(try mappingCount(of: served.path) == 0)
    #expect(try map() == 2)
    #expect(try mappingCount(of: served.path) == 0)
  }

  @Test("A mapping outlives the descriptor and stays live")
  func outlives() throws {
    let served = try ServedDevice(["--create", "0"])
    func map() throws -> MappedRegion { try XIVEDescriptor(served.path).mapSource(0) }
    let pages = try map()
    #expect(try descriptorCount(of: served.path) == 0)
    #expect(try mappingCount(of: served.path) == 1)
    #expect(pages.load(at: 0x1800) == 1)
    let device = try XIVEDescriptor(served.path)
    try device.setPQ(of: 0, to: .pending)
    #expect(pages.load(at: 0x1800, until: 2) == 2)
    // Stores are delivered as well; one trigger more would not show.
    pages.store(0, at: 0)
    try pages.synchronize()
    #expect(try device.pq(of: 0) == .queued)
  }

  @Test("The segments are the TIMA's page and the sources in both windows")
  func segments() throws {
    let served = try ServedDevice(["--sources", "32", "--create", "2-3", "--create", "8"])
    let device = try XIVEDescriptor(served.path)
    func sources(_ first: UInt32, _ end: UInt32, _ offset: (LISN) -> UInt64) -> Range<UInt64> {
      offset(LISN(rawValue: first))..<offset(LISN(rawValue: end))
    }
    let map = device.map
    let kernel = { (lisn: LISN) in map.kernelOffset(of: lisn, .trigger) }
    let esb = { (lisn: LISN) in map.offset(of: .esb(lisn, .trigger)) }
    #expect(
      try device.segments() == [
        0x2000..<0x3000, sources(2, 4, kernel), sources(8, 9, kernel), sources(2, 4, esb),
        sources(8, 9, esb),
      ])
  }
}

/// Gives a mapping up: what throws is of interest, and a value that cannot be copied cannot be expected.
private func withoutResult(_ region: consuming MappedRegion) {}
