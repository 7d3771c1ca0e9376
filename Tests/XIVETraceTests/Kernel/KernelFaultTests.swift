import Testing
import TraceRecords
import XIVEModel

import XIVETestSupport

@testable import XIVETrace

@Suite("Records of the kernel's faults", .hangGuard)
struct KernelFaultTests {
  @Test("Every field comes back, and none disturbs another")
  func fields() {
    for access in KernelFault.Access.allCases {
      for outcome in KernelFault.Outcome.allCases {
        for flags in 0..<4 {
          var fault = KernelFault(
            time: 5, threadID: 6, processID: 7, address: 0xffff_8000_1234_5678,
            instructionPointer: 0xffff_ffff_8130_e259)
          fault.duration = 12_800
          fault.access = access
          fault.outcome = outcome
          fault.isProtection = flags & 1 != 0
          fault.isInKernel = flags & 2 != 0
          let read = KernelFault(fault.record)
          #expect(read == fault)
          #expect(fault.access == access && fault.outcome == outcome)
          #expect(fault.isProtection == (flags & 1 != 0) && fault.isInKernel == (flags & 2 != 0))
          #expect(fault.duration == (outcome == .minor || outcome == .major ? 12_800 : nil))
          #expect(fault.instructionPointer == 0xffff_ffff_8130_e259)
          #expect(fault.address == 0xffff_8000_1234_5678)
          #expect(fault.record.time == 5)
          #expect(fault.record.threadID == 6 && fault.record.processID == 7)
        }
      }
    }
  }

  @Test("The longest duration is kept for all that are longer")
  func longest() {
    let made = fault(at: 0, offset: 0, lasting: .max, .major)
    #expect(made.duration == (1 << 25 - 1) * 128)
    #expect(made.outcome == .major && !made.isInKernel)
  }

  @Test("Records of other kinds are no faults")
  func others() { #expect(KernelFault(TraceRecord(.fill)) == nil) }

  @Test("A fault has the number and half of its page, and a PHB's its interrupt")
  func pages() {
    let management = fault(at: 0, offset: Region.esb.start + 35 * 4_096 + 8).record
    #expect(management.number == 17 && management.half == 1)
    let window = fault(at: 0, offset: (4 + 34) * 4_096).record
    #expect(window.number == 17 && window.half == 0)
    let phb = fault(at: 0, offset: (16 + 3) << 40 + 5 * 4_096).record
    #expect(phb.hardware?.phb == 3 && phb.hardware?.irq == 5)
    let end = fault(at: 0, offset: 2 << 40 + 17 * 4_096).record
    #expect(end.number == 8 && end.half == 1)
    let tima = fault(at: 0, offset: 3 << 40 + 6 * 4_096).record
    #expect(tima.number == 1 && tima.half == 2)
  }
}
