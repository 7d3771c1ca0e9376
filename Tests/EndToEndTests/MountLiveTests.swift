import Testing
import XIVETestSupport

@Suite("Live PQ in mappings", .enabled(if: Requirement.canMount), .hangGuard)
struct MountLiveTests {
  @Test("A mapped management page shows PQ after every kind of change, without another fill")
  func everyChange() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var actor = try Consumer(opening: device.path)
    var watcher = try Consumer(opening: device.path, "ro")
    try watcher.map(0, at: managementPage(2), 0x1000, "r")
    #expect(try watcher.mapped(0, 0x800) == 1)
    let before = try actor.counters().fills
    let page = managementPage(2)
    for pq in [3, 2, 1, 0] as [UInt64] {
      try actor.setPQ(2, pq)
      #expect(try watcher.await(0, 0x800, pq), "SET_PQ by a load")
    }
    try actor.store(at: triggerPage(2))
    #expect(try watcher.await(0, 0x800, 2), "trigger")
    try actor.store(at: kernelAlias(triggerPage(2)) + 0xff8)
    #expect(try watcher.await(0, 0x800, 3), "trigger through the other window")
    #expect(try actor.load(at: page) == 1)
    #expect(try watcher.await(0, 0x800, 2), "EOI by a load")
    try actor.expect("attr 0 set 2 2 0000000000000000")
    #expect(try watcher.await(0, 0x800, 1), "created again")
    #expect(try watcher.mapped(0, 0xbf8) == 1, "in every slot of the window")
    #expect(try actor.counters().fills == before)
  }

  @Test(
    "An exact store to a mapped page is seen there; the kernel drops that page, so that it is filled anew"
  )
  func exactStores() throws {
    let device = try ServedDevice(["--create", "0-3", "--store-eoi"])
    var actor = try Consumer(opening: device.path)
    var watcher = try Consumer(opening: device.path, "ro")
    try watcher.map(0, at: managementPage(2), 0x1000, "r")
    try watcher.map(1, at: kernelAlias(managementPage(2)), 0x1000, "r")
    for mapping in 0..<2 { #expect(try watcher.mapped(mapping, 0x800) == 1) }
    let before = try actor.counters().fills
    let stores: [(offset: UInt64, pq: UInt64)] = [
      (0xc00, 0), (0x000, 2), (0x000, 3), (0x400, 2), (0x400, 0), (0xf00, 3), (0xd00, 1),
    ]
    for store in stores {
      try actor.store(at: managementPage(2) + store.offset)
      for mapping in 0..<2 { #expect(try watcher.await(mapping, 0x800, store.pq)) }
    }
    #expect(try actor.counters().fills <= before + UInt64(stores.count), "none in the other window")
  }

  @Test("A store by one process becomes a change that another sees in its mapping")
  func betweenProcesses() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var one = try Consumer(opening: device.path)
    var other = try Consumer(opening: device.path)
    for mapping in 0..<2 {
      let page = mapping == 0 ? triggerPage(1) : managementPage(1)
      try one.map(mapping, at: page)
      try other.map(mapping, at: page)
    }
    _ = try other.mapped(1, 0x800)
    try one.storeMapped(1, 0xc00)
    #expect(try other.await(1, 0x800, 0))
    try other.storeMapped(0, 0x123 & ~7)
    #expect(try one.await(1, 0x800, 2))
    try one.storeMapped(0, 0)
    #expect(try other.await(1, 0x800, 3))
  }

  @Test("Both windows show a change, whichever it came through")
  func bothWindows() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(3))
    try consumer.map(1, at: kernelAlias(managementPage(3)))
    for mapping in 0..<2 { #expect(try consumer.mapped(mapping, 0x800) == 1) }
    let before = try consumer.counters().fills
    _ = try consumer.load(at: kernelAlias(managementPage(3)) + 0xe00)
    for mapping in 0..<2 { #expect(try consumer.await(mapping, 0x800, 2)) }
    try consumer.storeMapped(0, 0xf00)
    for mapping in 0..<2 { #expect(try consumer.await(mapping, 0x800, 3)) }
    try consumer.storeMapped(1, 0xc00)
    for mapping in 0..<2 { #expect(try consumer.await(mapping, 0x800, 0)) }
    #expect(try consumer.counters().fills == before)
  }

  @Test("With device pages of 64 KiB each mapped part of a page is kept current, in both windows")
  func largePages() throws {
    let device = try ServedDevice(["--create", "0-3", "--page-size", "64k"])
    var consumer = try Consumer(opening: device.path)
    let page: UInt64 = 1 << 40 + 5 << 16  // management page of source 2
    try consumer.map(0, at: page, 0x10000)
    try consumer.map(1, at: 9 << 16, 0x10000)
    let parts: [(mapping: Int, offset: UInt64)] = [
      (0, 0x0800), (0, 0x3ab8), (0, 0xfbf8), (1, 0x1800), (1, 0xf800),
    ]
    for part in parts { #expect(try consumer.mapped(part.mapping, part.offset) == 1) }
    let before = try consumer.counters().fills
    #expect(before == 5)
    for pq in [0, 2, 3, 1] as [UInt64] {
      _ = try consumer.load(at: page + 0x7c00 + pq << 8)
      for part in parts { #expect(try consumer.await(part.mapping, part.offset, pq)) }
    }
    try consumer.storeMapped(1, 0x1c00)
    for part in parts { #expect(try consumer.await(part.mapping, part.offset, 0)) }
    #expect(try consumer.counters().fills == before)
  }

  @Test("A page that is touched while its source changes never shows a state that has passed")
  func touchedDuringChanges() throws {
    let device = try ServedDevice(["--create", "0-63"])
    var actor = try Consumer(opening: device.path)
    var watcher = try Consumer(opening: device.path, "ro")
    for lisn in 0..<UInt64(64) {
      actor.send("hammer 2 4 pwrite 0 \(managementPage(lisn) + 0xd00)")
      try watcher.map(Int(lisn), at: managementPage(lisn), 0x1000, "r")
      _ = try watcher.mapped(Int(lisn), 0x800)
      _ = try actor.answer()
      try actor.setPQ(lisn, lisn & 3)
      #expect(try watcher.await(Int(lisn), 0x800, lisn & 3))
    }
  }
}
