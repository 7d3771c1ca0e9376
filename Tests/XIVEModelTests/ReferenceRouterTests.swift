import Testing
import XIVETestSupport

@Suite("The second router, rule by rule")
struct ReferenceRouterTests {
  @Test("R1: the trace of one queue, and of two priorities")
  func trace() {
    var router = plainRouter()
    var end = plainEND(6, "vqnb")
    end.queueSize = 4
    end.queue = 0
    router.setEND(6, end.words)
    router.setEAS(6, end: 6, data: 0x12345)
    router.setCPPR(0xff)
    router.trigger(6)
    #expect(router.os() == [0x80, 0xff, 0x02, 6])
    #expect(router.entry(0, of: 0) == 0x8001_2345)
    #expect(router.acknowledge() == 0x8006)
    #expect(router.os() == [0, 6, 0, 0xff])
    router.trigger(6)
    #expect(router.os() == [0, 6, 0x02, 6])
    router.setCPPR(7)
    #expect(router.os()[0] == 0x80)
    #expect(router.acknowledge() == 0x8006)
    router.setCPPR(0xff)
    router.trigger(6)
    router.trigger(5)
    #expect(router.os() == [0x80, 0xff, 0x06, 5])
    #expect(router.acknowledge() == 0x8005)
    #expect(router.os() == [0, 5, 0x02, 6])
    router.setCPPR(0xff)
    #expect(router.os() == [0x80, 0xff, 0x02, 6])
    #expect(router.acknowledge() == 0x8006)
  }

  @Test("R2: a masked EAS drops the event, PQ stays 10")
  func masked() {
    var router = plainRouter()
    router.setEAS(3, end: 3, data: 1, isMasked: true)
    router.trigger(3)
    #expect(router.sources.sources[3].pq == 0b10)
    #expect(router.outcomes == [.masked: 1])
    #expect(router.errors.isEmpty)
  }

  @Test("R3: an invalid EAS, END or NVT drops the event")
  func invalid() {
    var router = plainRouter()
    router.setEAS(0, [0, 0])
    router.setEAS(1, [0x8000_0000 | 16, 0])
    router.setEAS(2, [0x8100_0002, 0])
    router.setEND(3, plainEND(3, "qnb").words)
    for source in 0..<4 { router.trigger(source) }
    #expect(router.errors == [.easInvalid: 1, .endInvalid: 3])
    #expect(router.outcomes.isEmpty)
    router.setNVT(0x400, isValid: false)
    router.trigger(4)
    #expect(router.errors[.nvtInvalid] == 1)
    #expect(router.outcomes == [.entries: 1])
    #expect(router.backlog(0x400) == 0)
    #expect(router.sources.sources[4].pq == 0b10)
    router.setNVT(0x400, isValid: true)
    var end = plainEND(5, "vqn")
    end.block = 1
    router.setEND(5, end.words)
    router.trigger(5)
    #expect(router.errors[.nvtInvalid] == 2)
  }

  @Test("R4: priority ff queues without notification")
  func maskedPriority() {
    var router = plainRouter()
    var end = plainEND(2, "vqb")
    end.priority = 0xff
    router.setEND(2, end.words)
    router.trigger(2)
    #expect(router.entry(0, of: 2) == 0x8000_1002)
    #expect(router.os() == [0, 0, 0, 0xff])
    #expect(router.end(2)[1] >> 30 == 0)
    #expect(router.outcomes == [.entries: 1, .masked: 1])
  }

  @Test("R5: without n, ESn coalesces until its EOI, which notifies again")
  func coalescing() {
    var router = plainRouter("vqb")
    router.setCPPR(0xff)
    router.trigger(4)
    #expect(router.end(4)[1] >> 30 == 0b10)
    #expect(router.acknowledge() == 0x8004)
    for expected in [0b11, 0b11] as [UInt32] {
      router.trigger(4)
      #expect(router.end(4)[1] >> 30 == expected)
    }
    #expect(router.os() == [0, 4, 0, 0xff])
    #expect(router.entry(2, of: 4) == 0x8000_1004)
    #expect(router.outcomes == [.entries: 3, .notified: 1, .coalesced: 2])
    #expect(router.perform(.load, end: 4, isEscalation: false, at: 0) == 1)
    #expect(router.end(4)[1] >> 30 == 0b10)
    #expect(router.os() == [0, 4, 0x08, 4])
    #expect(router.outcomes[.entries] == 3)
    #expect(router.perform(.load, end: 4, isEscalation: false, at: 0) == 0)
    #expect(router.end(4)[1] >> 30 == 0b00)
  }

  @Test("R6: without q it notifies and writes no entry")
  func noQueue() {
    var router = plainRouter("vn")
    router.setCPPR(0xff)
    router.trigger(1)
    #expect(router.os() == [0x80, 0xff, 0x40, 1])
    #expect(router.writes.isEmpty)
    #expect(router.end(1) == plainEND(1, "vn").words)
  }

  @Test("A queue can lie anywhere in 60 bits of address")
  func highQueue() {
    let base: UInt64 = 0xabc_def0_1234_0000
    var router = ReferenceRouter(sources: 1, servers: 1, memorySize: 8192, at: base)
    var end = plainEND(0, "vq")
    end.queue = base + 4096
    router.setEND(0, end.words)
    router.setEAS(0, end: 0, data: 0x7fff_ffff)
    router.trigger(0)
    #expect(router.writes == [4096])
    #expect(ReferenceFields.word(router.memory, at: 4096) == 0xffff_ffff)
  }

  @Test("R7: a queue wraps, its generation flips, and a consumer by toggle reads every entry")
  func wrap() {
    var router = plainRouter()
    var toggle: UInt32 = 0
    var next = 0
    for event in 0..<2050 {
      router.setEAS(7, end: 7, data: UInt32(event))
      router.trigger(7)
      let entry = router.entry(next, of: 7)
      #expect(entry >> 31 != toggle && entry & 0x7fff_ffff == UInt32(event))
      next = (next + 1) % 1024
      if next == 0 { toggle = 1 - toggle }
    }
    #expect(router.end(7)[1] == 1 << 22 | 2)
    #expect(router.entry(0, of: 7) == 0x8000_0000 | 2048)
    #expect(router.entry(5, of: 7) == 1029)
  }

  @Test("R8: a vCPU that does not run gets its backlog when it is pushed")
  func backlog() {
    var router = plainRouter(connected: false)
    router.trigger(3)
    router.trigger(6)
    #expect(router.backlog(0x400) == 0x12)
    router.connect(0)
    #expect(router.backlog(0x400) == 0)
    #expect(router.os() == [0, 0, 0x12, 3])
    router.setCPPR(0xff)
    #expect(router.os() == [0x80, 0xff, 0x12, 3])
    #expect(router.load(0, view: 1, at: 0x818, size: 4) == 0x8000_0400)
    #expect(!router.vcpus[0].isLineUp)
    router.trigger(1)
    #expect(router.os() == [0x80, 0xff, 0x12, 3])
    #expect(router.backlog(0x400) == 0x40)
    router.store(0x8000_0400, 0, view: 1, at: 0x18, size: 4)
    #expect(router.os() == [0x80, 0xff, 0x52, 1])
    #expect(router.vcpus[0].isLineUp)
    #expect(router.outcomes == [.entries: 3, .backlogged: 3])
  }

  @Test("R8: a vCPU that is not connected any more does not run either")
  func disconnected() {
    var router = plainRouter()
    router.setCPPR(0xff)
    router.disconnect(0)
    router.trigger(1)
    #expect(router.backlog(0x400) == 0x40)
    router.connect(0)
    #expect(router.os() == [0, 0, 0x40, 1])
  }

  @Test("R8: without a backlog the notification is lost")
  func noBacklog() {
    var router = plainRouter("vqn", connected: false)
    router.trigger(3)
    #expect(router.backlog(0x400) == 0)
    #expect(router.outcomes == [.entries: 1, .undelivered: 1])
  }

  @Test("R8: escalation goes once until ESe is ended, always with u, and s escalates at once")
  func escalation() {
    for (flags, expected) in [("vqne", 1), ("vqneu", 3)] {
      var router = plainRouter()
      _ = router.load(0, view: 1, at: 0x818, size: 4)
      var end = plainEND(2, flags)
      end.escalationIndex = 13
      end.escalationData = 0x7abc_def0
      router.setEND(2, end.words)
      for _ in 0..<3 { router.trigger(2) }
      #expect(router.outcomes[.escalated] == UInt64(expected))
      #expect(router.entry(0, of: 13) == 0xfabc_def0)
      #expect(router.os(1)[2] == 0x04)
      #expect(router.end(2)[1] >> 28 & 3 == (expected == 1 ? 0b11 : 0))
      if expected == 1 {
        #expect(router.perform(.load, end: 2, isEscalation: true, at: 0) == 1)
        #expect(router.outcomes[.escalated] == 2)
        #expect(router.entry(1, of: 13) == 0xfabc_def0)
      }
    }
    var router = plainRouter()
    var end = plainEND(2, "vqnseu")
    end.escalationIndex = 13
    router.setEND(2, end.words)
    router.trigger(2)
    #expect(router.os()[2] == 0)
    #expect(router.os(1)[2] == 0x04)
    #expect(router.outcomes == [.entries: 2, .escalated: 1, .notified: 1])
  }

  @Test("R8: a silent END tells nobody and keeps nothing, not even after an EOI of its ESn")
  func silent() {
    var router = plainRouter()
    var end = plainEND(2, "vqsb")
    end.notifyPQ = 0b11
    router.setEND(2, end.words)
    router.trigger(2)
    #expect(router.perform(.load, end: 2, isEscalation: false, at: 0) == 1)
    router.disconnect(0)
    router.trigger(2)
    #expect(router.outcomes == [.entries: 2])
    #expect(router.backlog(0x400) == 0)
    #expect(router.os()[2] == 0)
  }

  @Test("An EOI of ESn does not notify with priority ff, one of ESe does not escalate without e")
  func vainEOI() {
    var router = plainRouter()
    var end = plainEND(2, "vqb")
    end.priority = 0xff
    end.notifyPQ = 0b11
    end.escalatePQ = 0b11
    end.escalationIndex = 3
    router.setEND(2, end.words)
    #expect(router.perform(.load, end: 2, isEscalation: false, at: 0) == 1)
    #expect(router.perform(.load, end: 2, isEscalation: true, at: 0) == 1)
    #expect(router.end(2)[1] >> 28 == 0b1010)
    #expect(router.outcomes == [.masked: 1])
  }

  @Test("An END that escalates to itself stops after sixteen levels")
  func escalationLoop() {
    var router = plainRouter()
    _ = router.load(0, view: 1, at: 0x818, size: 4)
    var end = plainEND(2, "vneu")
    end.escalationIndex = 2
    router.setEND(2, end.words)
    router.trigger(2)
    #expect(router.outcomes == [.escalated: 16])
    #expect(router.errors == [.escalationLoop: 1])
  }

  @Test("R9: two threads with one CAM are an error, and the event goes to the backlog")
  func duplicate() {
    var router = plainRouter()
    router.setCPPR(0xff)
    router.store(0x8000_0400, 1, view: 1, at: 0x18, size: 4)
    router.trigger(5)
    #expect(router.errors == [.camDuplicate: 1])
    #expect(router.backlog(0x400) == 0x04)
    #expect(router.os() == [0, 0xff, 0, 0xff])
  }

  @Test("R9: of two rings of one thread the more privileged one takes the event")
  func twoRings() {
    var router = plainRouter()
    router.setCPPR(0xff)
    router.store(0x8000_0400, 0, view: 0, at: 0x28, size: 4)
    router.trigger(5)
    #expect(router.errors == [:])
    #expect(router.os() == [0, 0xff, 0, 0xff])
    #expect(router.load(0, view: 0, at: 0x20, size: 8) == 0x0000_0400_0000_0000)
  }

  @Test("L2: a trigger of a stopped source is kept, and delivered once when it is resumed")
  func resumed() {
    var router = plainRouter()
    router.setCPPR(0xff)
    #expect(router.perform(.load, source: 5, .management, at: 0xe00) == 0)
    router.perform(.store, source: 5, .trigger, at: 0)
    #expect(router.writes.isEmpty)
    #expect(router.perform(.load, source: 5, .management, at: 0xc00) == 3)
    router.perform(.store, source: 5, .trigger, at: 0)
    #expect(router.outcomes == [.entries: 1, .notified: 1])
  }

  @Test("The END's pages: every operation of the table, all ones while it is not valid, no stores")
  func endPages() {
    for row in ReferenceTable.rows {
      for window in ReferenceTable.windows where window.operation == row.operation {
        guard window.access == .load, window.page == .management else { continue }
        for isEscalation in [false, true] {
          var router = plainRouter("vn")
          var end = plainEND(0, "vn")
          end.notifyPQ = isEscalation ? 0 : UInt32(row.before)
          end.escalatePQ = isEscalation ? UInt32(row.before) : 0
          router.setEND(0, end.words)
          let at = window.offsets.upperBound
          #expect(router.perform(.load, end: 0, isEscalation: isEscalation, at: at) == row.value)
          #expect(router.end(0)[1] >> 28 == UInt32(row.after) << (isEscalation ? 0 : 2))
        }
      }
    }
    var router = plainRouter("n")
    #expect(router.perform(.load, end: 0, isEscalation: false, at: 0x800) == .max)
    #expect(router.perform(.store, end: 0, isEscalation: true, at: 0xf00) == nil)
    #expect(router.errors == [.absentPage: 1, .endStore: 1])
    #expect(router.end(0) == plainEND(0, "n").words)
  }
}
