import Testing
import XIVETestSupport

@Suite("The second router's TIMA, rule by rule")
struct ReferenceTIMATests {
  @Test("Reset: all zero but these, and nothing is delivered")
  func reset() {
    var router = plainRouter()
    #expect(router.load(0, view: 2, at: 0x10, size: 8) == 0x0000_00ff_ff00_00ff)
    #expect(router.load(0, view: 0, at: 0x18, size: 4) == 0x8000_0400)
    #expect(router.load(0, view: 0, at: 0x30, size: 8) == 0x0000_0000_0000_00ff)
    router.trigger(0)
    #expect(router.os() == [0, 0, 0x80, 0])
  }

  @Test("R10: an acknowledgement of nothing gives CPPR")
  func acknowledgeNothing() {
    var router = plainRouter()
    router.setCPPR(5)
    let before = router.vcpus
    #expect(router.acknowledge() == 0x0005)
    #expect(router.vcpus == before)
    router.store(0x3305_0000, 0, view: 1, at: 0x10, size: 4)
    #expect(router.acknowledge() == 0x3305)
    router.setCPPR(4)
    #expect(router.os()[0] == 0)
  }

  @Test("R11: a CPPR above 7 is ff; R14: one that is lowered takes the interrupt back")
  func cppr() {
    var router = plainRouter()
    for (value, expected) in [(7, 7), (8, 0xff), (0x80, 0xff), (0xff, 0xff)] as [(UInt64, UInt8)] {
      router.setCPPR(value)
      #expect(router.os()[1] == expected)
      #expect(router.load(0, view: 2, at: 0x11, size: 1) == UInt64(expected))
    }
    router.trigger(4)
    #expect(router.vcpus[0].isLineUp)
    for value in [5, 4, 5, 3] as [UInt64] {
      router.setCPPR(value)
      #expect(router.os() == [value == 5 ? 0x80 : 0, UInt8(value), 0x08, 4])
      #expect(router.vcpus[0].isLineUp == (value == 5))
    }
  }

  @Test("R12: set pending 4 is IPB 08; above 7 there is no bit")
  func setPending() {
    var router = plainRouter()
    router.store(4, 0, view: 2, at: 0x812, size: 1)
    #expect(router.os() == [0, 0, 0x08, 4])
    router.setCPPR(0xff)
    router.store(8, 0, view: 2, at: 0x812, size: 1)
    router.store(0, 0, view: 2, at: 0x812, size: 1)
    #expect(router.os() == [0x80, 0xff, 0x88, 0])
    #expect(router.acknowledge() == 0x8000)
    #expect(router.os() == [0, 0, 0x08, 4])
  }

  @Test("R13: what the OS view must not do")
  func osView() {
    var router = plainRouter()
    router.store(0xaabb_ccdd, 0, view: 2, at: 0x10, size: 4)
    #expect(router.os() == [0, 0xbb, 0, 0xff])
    router.store(0xffff_ffff, 0, view: 2, at: 0x18, size: 4)
    #expect(router.vcpus[0].word2(.os) == 0x8000_0400)
    #expect(router.load(0, view: 2, at: 0x818, size: 4) == 0xffff_ffff)
    #expect(router.load(0, view: 2, at: 0x818, size: 8) == .max)
    #expect(router.load(0, view: 2, at: 0x830, size: 2) == 0xffff)
    #expect(router.vcpus[0].word2(.os) == 0x8000_0400)
    #expect(router.errors == [.timaAccess: 4])
  }

  @Test("A pull clears VO and gives word 2; a second one is an error")
  func pull() {
    var router = plainRouter()
    #expect(router.load(0, view: 1, at: 0x818, size: 8) == 0x8000_0400)
    #expect(router.load(0, view: 0, at: 0x818, size: 4) == 0x0000_0400)
    #expect(router.errors == [.context: 1])
    router.store(0x8000_0123, 0, view: 0, at: 0x28, size: 4)
    #expect(router.load(0, view: 1, at: 0x828, size: 4) == 0x8000_0123)
    #expect(router.vcpus[0].word2(.pool) == 0x0123)
    router.store(0x8765_4321, 0, view: 2, at: 0x808, size: 4)
    #expect(router.load(0, view: 1, at: 0x808, size: 4) == 0x8765_4321)
    #expect(router.load(0, view: 2, at: 0x808, size: 4) == 0x0765_4321)
    #expect(router.errors == [.context: 2])
  }

  @Test("A push with VO merges the NVT that it names, if there is one")
  func push() {
    var router = plainRouter(connected: false)
    router.trigger(8 + 2)
    router.connect(0)
    _ = router.load(0, view: 1, at: 0x818, size: 4)
    router.store(0x0000_0401, 0, view: 1, at: 0x18, size: 4)
    #expect(router.os()[2] == 0)
    router.store(0x8000_0401, 0, view: 1, at: 0x18, size: 4)
    #expect(router.os() == [0, 0, 0x20, 2])
    #expect(router.backlog(0x401) == 0)
    router.store(0x8008_0401, 0, view: 1, at: 0x18, size: 4)
    router.store(0x8000_0402, 0, view: 1, at: 0x18, size: 4)
    #expect(router.errors == [.nvtInvalid: 2])
    router.store(0x00ff_0800, 0, view: 1, at: 0x10, size: 4)
    router.store(0x8000_0402, 0, view: 1, at: 0x18, size: 4)
    #expect(router.os() == [0x80, 0xff, 0x08, 4])
  }

  @Test("The physical thread answers to its own CAM once it is valid, the pool to its word 2")
  func hypervisor() {
    var router = plainRouter()
    for (index, target) in [(3, 0x80), (4, 0x123), (3 + 8, 0x123)] as [(Int, UInt32)] {
      var end = plainEND(index, "vqnb")
      end.target = target
      router.setEND(index, end.words)
      router.setNVT(Int(target), isValid: true)
    }
    router.trigger(3)
    #expect(router.backlog(0x80) == 0x10)
    router.store(0x80, 0, view: 1, at: 0x38, size: 1)
    #expect(router.load(0, view: 1, at: 0x38, size: 1) == 0x80)
    router.store(0x8000_0123, 0, view: 0, at: 0x28, size: 4)
    router.store(9, 0, view: 1, at: 0x31, size: 1)
    router.trigger(4)
    #expect(router.hv() == [0x40, 0xff, 4, 0, 0x08])
    #expect(router.vcpus[0].isLineUp)
    router.trigger(3)
    #expect(router.hv() == [0x80, 0xff, 3, 0x10, 0x08])
    router.trigger(3 + 8)
    #expect(router.hv() == [0x80, 0xff, 3, 0x10, 0x18])
    #expect(router.load(0, view: 1, at: 0x830, size: 2) == 0x8003)
    #expect(router.hv() == [0, 3, 3, 0, 0x18])
    #expect(!router.vcpus[0].isLineUp)
    router.store(4, 0, view: 1, at: 0x31, size: 1)
    #expect(router.hv() == [0x40, 4, 3, 0, 0x18])
    router.store(3, 0, view: 1, at: 0x31, size: 1)
    #expect(router.hv() == [0, 3, 3, 0, 0x18])
    router.store(7, 0, view: 1, at: 0x31, size: 1)
    #expect(router.load(0, view: 0, at: 0x830, size: 2) == 0x4003)
    #expect(router.hv() == [0, 3, 4, 0, 0x08])
    #expect(router.load(0, view: 0, at: 0x830, size: 2) == 0x0003)
  }

  @Test("An event-based branch is acknowledged in the user view")
  func user() {
    var router = plainRouter()
    #expect(router.load(0, view: 3, at: 0x800, size: 1) == 0)
    #expect(router.load(0, view: 3, at: 0x808, size: 4) == 0xffff_ffff)
    #expect(router.load(0, view: 3, at: 0x10, size: 8) == .max)
    #expect(router.load(0, view: 3, at: 0x00, size: 8) == .max)
    #expect(router.errors == [.timaAccess: 3])
  }

  @Test("Sizes and alignments that no access has are refused, and nothing is counted")
  func sizes() {
    var router = plainRouter()
    for (offset, size) in [(0x10, 3), (0x10, 0), (0x10, 16), (0x11, 2), (0x12, 4), (0x14, 8)] {
      #expect(router.load(0, view: 0, at: offset, size: size) == nil)
      let isStored = router.store(1, 0, view: 0, at: offset, size: size)
      #expect(!isStored)
    }
    #expect(router.errors.isEmpty)
    #expect(router.load(0, view: 2, at: 0x1010, size: 8) == 0x0000_00ff_ff00_00ff)
    #expect(router.load(0, view: 2, at: 0x450, size: 8) == 0x0000_00ff_ff00_00ff)
    #expect(router.load(0, view: 2, at: 0x850, size: 8) == .max)
    #expect(router.errors == [.timaAccess: 1])
    router.store(0x1111_1111, 0, view: 0, at: 0x850, size: 4)
    #expect(router.errors == [.timaAccess: 2])
    #expect(router.vcpus[0].registers[0x10...0x17] == ReferenceVCPU.resetRegisters[0x10...0x17])
    router.store(0x1122_3344, 0, view: 0, at: 0x450, size: 4)
    #expect(Array(router.vcpus[0].registers[0x10...0x13]) == [0x11, 0x22, 0x33, 0x44])
  }

  @Test("The special operations are those of the architecture's list")
  func list() {
    #expect(Set(ReferenceTIMATable.rows.map(\.operation)) == Set(ReferenceTIMAOperation.allCases))
    let effects = ReferenceTIMATable.rows.filter { $0.offset >= 0x800 }.map(\.offset)
    #expect(Set(effects) == [0x800, 0x808, 0x810, 0x812, 0x818, 0x828, 0x830])
    #expect(ReferenceTIMATable.maps.map(\.count) == [64, 64, 64, 64])
  }
}
