import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: requests that are refused, and payloads in strange places",
  .enabled(if: Requirement.canMount), .hangGuard)
struct ContractRequestTests {
  @Test("An inline attribute with flags, or with bytes behind its value, is EINVAL")
  func malformedInline() throws {
    var device = try ContractDevice(["--create", "5"])
    try device.setPQ(5, 3)
    for flags in ["1", "0x80000000", "0xffffffff"] {
      #expect(try device.consumer.ask("flags 0 \(flags) 2 5 0000000000000000") == "errno EINVAL 22")
      #expect(try device.consumer.ask("flags 0 \(flags) 2 6 0000000000000000") == "errno EINVAL 22")
    }
    for byte in [8, 9, 15, 16, 63, 111] {
      let payload = String(repeating: "00", count: byte) + "01"
      #expect(try device.consumer.ask("inline 0 set 2 5 \(payload)") == "errno EINVAL 22")
      #expect(try device.consumer.ask("inline 0 set 2 6 \(payload)") == "errno EINVAL 22")
    }
    #expect(try device.pq(5) == 3)
    #expect(try device.consumer.load(at: device.page(6, .management) + 0x800) == .max)
    try device.consumer.expect("flags 0 0 2 6 0000000000000000")
    #expect(try device.pq(6) == 1)
    device.end()
  }

  @Test("An unknown request is ENOTTY, whatever its direction and size")
  func unknownRequests() throws {
    var device = try ContractDevice(["--create", "5"])
    let requests: [UInt32] = [
      0xae00, 0xaee1, 0xc00c_aee0, 0x4010_aee1, 0x4020_aee1, 0x8018_aee1, 0xc018_aee2, 0x4018_aee4,
      0x4018_afe1, 0x5801, 0xc080_5800, 0xc080_5803, 0xc07f_5801, 0x4080_5801, 0xc081_5802,
      0xffff_ffff & ~(0x3000 << 16), 0,
    ]
    for request in requests {
      let answer = try device.consumer.ask("ioctl 0 0x\(hex(request)) -")
      #expect(answer == "errno ENOTTY 25", "request 0x\(hex(request))")
    }
    #expect(try device.pq(5) == 1)
    device.end()
  }

  @Test("A get gives the value's bytes and no more; a place that cannot be written is EFAULT")
  func getByPointer() throws {
    var device = try ContractDevice(["--create", "5"])
    let geometry = try device.consumer.expect(
      "attr 0 get 0x50 0 " + String(repeating: "ff", count: 32))
    #expect(try device.consumer.expect("inline 0 get 0x50 0 -").hasPrefix(geometry))
    #expect(geometry.count == 64)
    let tooSmall = String(repeating: "ff", count: 31)
    #expect(try device.consumer.ask("attr 0 get 0x50 0 \(tooSmall)") == "errno EFAULT 14")
    for pointer in ["null", "bad"] {
      #expect(try device.consumer.ask("attr 0 get 0x50 0 \(pointer)") == "errno EFAULT 14")
      #expect(try device.consumer.ask("attr 0 get 0x50 1 \(pointer)") == "errno EFAULT 14")
    }
    device.end()
  }

  @Test("A descriptor without write permission changes nothing")
  func readOnly() throws {
    var device = try ContractDevice(["--create", "5"])
    var reader = try Consumer(opening: device.server.path, "ro,direct")
    let management = device.page(5, .management)
    for pq: UInt64 in 0..<4 {
      try device.setPQ(5, pq)
      let before = try device.counters()
      for offset: UInt64 in [0x000, 0x7f8, 0xc00, 0xd00, 0xe00, 0xff8] {
        #expect(try reader.ask("pread 0 \(management + offset) 8") == "errno EBADF 9")
      }
      #expect(
        try reader.ask("pwrite 0 \(device.page(5, .trigger)) 0000000000000000") == "errno EBADF 9")
      for form in AttributeForm.allCases {
        let answer = try reader.ask("\(form.rawValue) set 2 5 0000000000000000")
        #expect(answer == "errno EBADF 9")
        #expect(try reader.ask("\(form.rawValue) set 2 2048 0100000000000000") == "errno EBADF 9")
      }
      #expect(try device.counters().events == before.events)
      // What has no effect works: GET, the trigger page, and asking.
      #expect(try reader.load(at: management + 0x800) == pq)
      #expect(try reader.load(at: device.page(5, .trigger)) == .max)
      #expect(try reader.ask("attr 0 has 2 5") == "ok")
      let info: xive_info_geometry = try reader.info(XIVE_INFO_GEOMETRY)
      #expect(info.source_blocks == 1)
    }
    #expect(try reader.ask("map 0 0 \(management) 0x1000 rw shared") == "errno EACCES 13")
    try reader.expect("map 0 0 \(management) 0x1000 r shared")
    #expect(try reader.load(0, at: 0x800) == 3)
    device.end()
  }

  @Test("A descriptor for writing alone stores and does not load")
  func writeOnly() throws {
    var device = try ContractDevice(["--create", "5"])
    var writer = try Consumer(opening: device.server.path, "wo,direct")
    try writer.store(at: device.page(5, .management) + 0xc00)
    try writer.store(at: device.page(5, .trigger))
    #expect(try writer.ask("pread 0 \(device.page(5, .management)) 8") == "errno EBADF 9")
    #expect(try device.pq(5) == 2)
    try writer.expect("attr 0 set 2 5 0000000000000000")
    #expect(try device.pq(5) == 1)
    device.end()
  }

  @Test("A value may lie in a page of the device itself", arguments: [2, 4])
  func payloadOnDevicePage(threads: Int) throws {
    var device = try ContractDevice(["--threads", "\(threads)", "--create", "0-31"])
    try device.consumer.map(0, at: device.page(0, .trigger), pages: 80, of: device.map)
    // Nobody has touched these pages: the server needs them filled to handle the request. All ones there
    // say asserted and level-sensitive.
    for lisn: UInt32 in 0..<8 {
      try device.consumer.expect("attr 0 set 2 \(100 + lisn) page:0:\(lisn * 0x2000 + 0x120)")
      try device.setPQ(100 + lisn, 0)
      #expect(try device.consumer.load(at: device.page(100 + lisn, .management)) == 1)
    }
    // PQ 01 of a management page, big-endian: no flag of either kind.
    try device.consumer.expect("attr 0 set 2 110 page:0:\(20 * 0x2000 + 0x1800)")
    #expect(try device.pq(110) == 1)
    #expect(try device.consumer.ask("attr 0 set 2 111 page:0:\(33 * 0x2000)") == "errno EFAULT 14")
    device.end()
  }

  @Test("An answer may be wanted in a page of the device itself", arguments: [2, 4])
  func answerOnDevicePage(threads: Int) throws {
    var device = try ContractDevice(["--threads", "\(threads)", "--create", "0-31"])
    try device.consumer.map(0, at: device.page(0, .trigger), pages: 80, of: device.map)
    for page: UInt64 in [0, 1, 7, 20] {
      let answer = try device.consumer.ask("attr 0 get 0x50 1 page:0:\(page * 0x1000 + 0x800)")
      #expect(answer == "ok" || answer == "errno EFAULT 14")
    }
    #expect(try device.consumer.ask("attr 0 get 0x50 1 page:0:\(33 * 0x2000)") == "errno EFAULT 14")
    try device.consumer.expect("msync 0 0 0x40000 sync")
    try device.setPQ(9, 2)
    #expect(try device.pq(9) == 2)
    device.end()
  }

  @Test(
    "More requests than threads may wait for pages of the device at once", arguments: [2, 4],
    [false, true])
  func manyPayloadsOnDevicePages(threads: Int, isStopped: Bool) throws {
    var device = try ContractDevice(["--threads", "\(threads)", "--create", "0-4095"])
    let path = device.server.path
    let start = device.page(0, .trigger)
    var others = try InlineArray<6, Consumer> { _ in try Consumer(opening: path) }
    for other in others.indices {
      try others[other].map(0, at: start, pages: 8_192, of: device.map)
    }
    // Each value lies in a page that nobody has touched, so that each request waits for a fill.
    for round in 0..<150 {
      for other in others.indices {
        let page = UInt64(other * 150 + round)
        others[other].send("attr 0 set 2 \(5_000 + other) page:0:\(page * 0x2000)")
      }
    }
    // Told to stop in the middle of it, the server ends as always, and so do the requests.
    if isStopped { device.end() }
    for _ in 0..<150 {
      for other in others.indices {
        let answer = try others[other].answer()
        #expect(answer == "ok" || (isStopped && answer.hasPrefix("errno E")), "\(answer)")
      }
    }
    guard !isStopped else { return }
    #expect(try device.counters().fills >= 900)
    device.end()
  }
}
