import PagedDevice
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Records of accesses", .hangGuard)
struct TraceAccessTests {
  /// A machine whose source 1 goes to vCPU 0 as 77, with an empty trace.
  private func machine(cpus: UInt32 = 1) throws -> Machine {
    let machine = try Machine(Rig.traced(storeEOI: true), cpus: cpus)
    try machine.start(1, on: 0, eisn: 77)
    return machine
  }

  @Test("A trigger leaves, in this order: trigger, forward, notify, store")
  func trigger() throws {
    let machine = try machine()
    let rig = machine.rig
    let offset = rig.offset(1, .trigger)
    let found = rig.trace { rig.exactStore(offset, 0x1234) }
    let trigger = expected(.trigger) {
      $0.number = 1
      $0.backing = .ipi
      $0.pq = (.reset, .pending)
    }
    let forward = expected(.forward) {
      $0.number = 1
      $0.value = rig.device.router.eas(of: LISN(rawValue: 1)).rawValue
    }
    let notify = expected(.notify) {
      $0.number = 0
      $0.value = (try? machine.ring(0)) ?? 0
    }
    let store = expected(.store) {
      $0.offset = offset
      $0.value = 0x1234
      $0.number = 1
      $0.backing = .ipi
      $0.generation = 1
      $0.pq = (.reset, .pending)
      $0.accessByteCount = 8
    }
    #expect(found.timeless == [trigger, forward, notify, store])
    #expect(forward.value != 0 && notify.value >> 56 == 0x80)
    // The request began before what it caused.
    let times = found.map(\.time)
    #expect(times[3] <= times[0] && times[0] <= times[1] && times[1] <= times[2])
    let end = times[3] + UInt64(found[3].serviceTime)
    #expect(end >= times[2])
  }

  @Test("Loads: what they give, PQ before and after, and the end of an interrupt")
  func loads() throws {
    let machine = try machine()
    let rig = machine.rig
    rig.setPQ(1, .queued)
    let page = rig.offset(1, .management, .kernel)
    func load(_ register: UInt64, _ value: UInt64, _ before: PQ, _ after: PQ) -> TraceRecord {
      expected(.load) {
        $0.offset = page + register
        $0.value = value
        $0.number = 1
        $0.half = 1
        $0.backing = .ipi
        $0.generation = 1
        $0.pq = (before, after)
        $0.accessByteCount = 8
      }
    }
    #expect(
      rig.trace { rig.exactLoad(page + 0x800) }.timeless == [load(0x800, 3, .queued, .queued)])
    let found = rig.trace { rig.exactLoad(page) }
    #expect(found.kinds == [.eoi, .forward, .notify, .load])
    #expect(found.last?.timeless == load(0, 1, .queued, .pending))
    let eoi = expected(.eoi) {
      $0.number = 1
      $0.backing = .ipi
      $0.pq = (.queued, .pending)
      $0.value = 1
    }
    #expect(found.first?.timeless == eoi)
    let set = rig.trace { rig.exactLoad(page + 0xd00) }
    #expect(set.timeless == [load(0xd00, 2, .pending, .off)])
  }

  @Test("StoreEOI ends an interrupt; a store to SET_PQ changes PQ alone")
  func stores() throws {
    let rig = try machine().rig
    rig.setPQ(1, .pending)
    let page = rig.offset(1, .management)
    let found = rig.trace { rig.exactStore(page + 0x400, 5) }
    #expect(found.kinds == [.eoi, .store])
    #expect(found.last?.half == 1 && found.last?.value == 5)
    #expect(found.last?.pq?.before == .pending && found.last?.pq?.after == .reset)
    let set = rig.trace { rig.exactStore(page + 0xf00) }
    #expect(set.kinds == [.store] && set.first?.pq?.after == .queued)
  }

  @Test("A vCPU's TIMA: the server and the view, sizes of 1 to 8 bytes")
  func tima() throws {
    let machine = try machine(cpus: 2)
    let rig = machine.rig
    let own = rig.map.offset(of: .connectedTIMA(.os))
    for size in [1, 2, 4, 8] where size != 4 {
      let register: UInt64 = size == 1 ? 0x11 : size == 2 ? 0x810 : 0x10
      let found = rig.trace {
        rig.exactLoad(own + register, byteCount: size, by: Machine.opener(1))
      }
      #expect(found.kinds == [.load])
      #expect(found.first?.number == 1 && found.first?.half == UInt8(TIMAView.os.rawValue))
      #expect(found.first?.backing == .tima && found.first?.accessByteCount == size)
    }
    let pull = rig.tima(0, .hv) + 0x818
    let found = rig.trace { rig.exactLoad(pull, byteCount: 4) }
    #expect(found.first?.number == 0 && found.first?.half == UInt8(TIMAView.hv.rawValue))
    #expect(found.first?.accessByteCount == 4 && (found.first?.value ?? 0) >> 31 == 1)
    let cppr = rig.trace {
      rig.exactStore(own + 0x11, 0x3, byteCount: 1, by: Machine.opener(1))
    }
    #expect(cppr.kinds == [.store] && cppr.first?.value == 3)
  }

  @Test("What comes to nothing says why, beside the guest error that it is")
  func absences() throws {
    let machine = try machine()
    let rig = machine.rig
    try rig.addPHB(0, msis: 2, lsis: 1)
    try rig.map(2, to: 0)
    try rig.map(3, to: 2)
    try rig.hardware(.fence, 1)
    let cases: [(UInt64, TraceResult.Absence)] = [
      (rig.offset(6, .management), .notCreated),
      (rig.offset(2, .management) + 0x800, .fenced), (rig.ownPage(1) + 0x800, .fenced),
      (rig.tima(2, .os) + 0x10, .notConnected), (rig.tima(0, .user) + 0x18, .noOperation),
      (rig.endPage(0, 3) + 0x800, .notValid), (rig.endPage(2, 0) + 0x800, .notConnected),
      (rig.ownPage(1, phb: 5) + 0x800, .noPHB),
    ]
    for (offset, reason) in cases {
      let found = rig.trace { rig.exactLoad(offset) }
      let name = Comment(rawValue: "0x\(String(offset, radix: 16))")
      #expect(found.kinds == [.guestError, .load], name)
      #expect(found.last?.result == .absent(reason) && found.last?.value == .max, name)
    }
    let store = rig.trace { rig.exactStore(rig.endPage(0, 6)) }
    #expect(store.kinds == [.guestError, .store])
    #expect(store.last?.result == .absent(.noOperation) && store.last?.number == 6)
    try rig.hardware(.unfence, 1)
    let trigger = rig.trace { rig.exactStore(rig.offset(3, .trigger)) }
    #expect(trigger.last?.result == .absent(.noTriggerPage))
  }

  @Test("A refused access says with which error number, and nothing has happened")
  func refused() throws {
    let rig = try machine().rig
    let page = rig.offset(1, .management)
    let cases: [(TraceKind, Int32, () -> Void)] = [
      (.load, 22, { rig.exactLoad(page + 4, byteCount: 4) }),
      (.load, 22, { rig.exactLoad(4 << 40) }),
      (.load, 9, { rig.exactLoad(page + 0xc00, by: Rig.reader) }),
      (.store, 9, { rig.exactStore(page + 0xc00, by: Rig.reader) }),
      (.store, 22, { rig.exactStore(page + 4) }),
    ]
    for (kind, number, access) in cases {
      let found = rig.trace(access)
      #expect(found.kinds == [kind] && found.first?.result == .errno(number))
    }
  }

  @Test("Write-back: a record for each store that is found, with its slot, its value and its step")
  func writeBack() throws {
    let rig = try machine().rig
    rig.setPQ(1, .pending)
    let page = rig.offset(1, .management)
    var mapped = try MappedPage(rig, page)
    mapped.store(7, slot: 0xc00 / 8)
    mapped.store(9, slot: 0xe00 / 8)
    let found = rig.trace { rig.request(.writeBack(page, 4_096)) { mapped.writeBack() } }
    func store(_ register: UInt64, _ value: UInt64, _ before: PQ, _ after: PQ) -> TraceRecord {
      expected(.writeBack) {
        $0.offset = page + register
        $0.value = value
        $0.number = 1
        $0.half = 1
        $0.backing = .ipi
        $0.generation = 1
        $0.pq = (before, after)
        $0.accessByteCount = 8
      }
    }
    #expect(
      found.timeless == [
        store(0xc00, 7, .pending, .reset), store(0xe00, 9, .reset, .pending),
      ])
    mapped.deliverAll()
    mapped.store(1, slot: 0x410 / 8)
    let ended = rig.trace { rig.request(.writeBack(page, 4_096)) { mapped.writeBack() } }
    #expect(ended.kinds == [.eoi, .writeBack])
  }

  @Test("Write-back of several pages in one request: each store is its own page's")
  func writeBackOfManyPages() throws {
    let rig = try machine().rig
    rig.setPQ(2, .reset)
    let start = rig.offset(1, .trigger)
    var pages = try (0..<4).map { try MappedPage(rig, start + UInt64($0) << 12) }
    pages[0].store(1, slot: 3)
    pages[2].store(2, slot: 4)
    pages[3].store(3, slot: 0xd00 / 8)
    let found = rig.trace {
      rig.request(.writeBack(start, 16_384)) { for page in pages { page.writeBack() } }
    }
    .filter { $0.kind == .writeBack }
    #expect(found.map(\.number) == [1, 2, 2])
    #expect(found.map(\.half) == [0, 0, 1])
    #expect(found.map(\.offset) == [start + 24, start + 0x2020, start + 0x3d00])
    #expect(found.map(\.value) == [1, 2, 3])
  }

  @Test("Images in which there is nothing, or nothing that counts, say so")
  func emptyImages() throws {
    let machine = try machine()
    let rig = machine.rig
    func results(_ page: UInt64, _ change: (inout MappedPage) -> Void) throws -> [TraceRecord] {
      var mapped = try MappedPage(rig, page)
      change(&mapped)
      return rig.trace { rig.request(.writeBack(page, 4_096)) { mapped.writeBack() } }
        .filter { $0.kind == .writeBack }
    }
    let management = rig.offset(1, .management)
    let unchanged = try results(management) { _ in }
    #expect(unchanged.map(\.result) == [.absent(.unchanged)])
    #expect(unchanged.first?.number == 1 && unchanged.first?.offset == management)
    let tima = try results(rig.tima(0, .os)) { $0.store(0, slot: 2) }
    #expect(tima.map(\.result) == [.absent(.noOperation)])
    let end = try results(rig.endPage(0, 6)) { $0.store(0, slot: 2) }
    #expect(end.map(\.result) == [.absent(.noOperation)])
    let absent = rig.trace {
      rig.request(.writeBack(rig.offset(6, .management), 4_096)) {
        rig.writeBack(.init(repeating: 0, count: 4_096), at: rig.offset(6, .management))
      }
    }
    #expect(absent.kinds == [.guestError, .writeBack])
    #expect(absent.last?.result == .absent(.notCreated))
  }

  @Test("Other requests leave no record: poll, and whatever only the kernel asks for")
  func others() {
    let rig = Rig.traced()
    #expect(rig.trace { rig.request(.other) {} }.isEmpty)
    // Nor does what a thread does outside of any request lack one who did it.
    let found = rig.trace { rig.device.perform(.trigger, on: LISN(rawValue: 1)) }
    #expect(found.first?.kind == .trigger && found.first?.threadID == TraceTask.ownThreadID)
  }
}
