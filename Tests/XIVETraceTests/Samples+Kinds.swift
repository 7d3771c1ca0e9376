import TraceRecords
import XIVEModel

@testable import XIVETrace

/// A record of every kind, and what it has to look like.
extension Samples {
  struct Sample: Sendable, CustomStringConvertible {
    let record: TraceRecord
    /// Its line, without colours.
    let line: String
    /// Whether a part of the line is coloured on a terminal.
    var isColored = false

    var description: String { line }
  }

  static let everyKind: [Sample] = faults + accesses + hotplug + events + others

  private static func served(_ record: inout TraceRecord) {
    record.queueTime = 1_250
    record.serviceTime = 13_400
  }

  private static let faults = [
    Sample(
      record: record(.fill, 1, at: 100) {
        $0.offset = 1 << 40 | 0x2_3000
        $0.value = 4_096
        $0.number = 0x11
        $0.half = 1
        $0.backing = .ipi
        $0.generation = 3
        $0.cause = .firstTouch
        $0.pq = (.off, .off)
        served(&$0)
      },
      line: "    0.000100 qemu-ppc64/4711      fill         esb:0x11:management         IPI gen 3"
        + "          1.2+13.4us  PQ 01->01  first touch"),
    Sample(
      record: record(.fill, 2, at: 200) {
        $0.offset = 4 << 12 | 0x2_2000
        $0.value = 8_192
        $0.hardware = (phb: 0, irq: 4)
        $0.generation = 2
        $0.cause = .unmap
        $0.serviceTime = 900
      },
      line:
        "    0.000200 qemu-ppc64/4711      fill         kernel:0x11:trigger         PHB 0:4 gen 2"
        + "           0.9us  2 pages  zap by unmap", isColored: true),
    Sample(
      record: record(.fill, 3, at: 300) {
        $0.offset = 1 << 40 | 0x9000
        $0.value = 4_096
        $0.result = .absent(.notCreated)
        served(&$0)
      },
      line: "    0.000300 qemu-ppc64/4711      fill         esb:0x4:management          -"
        + "                  1.2+13.4us  SIGBUS (source never created)", isColored: true),
    Sample(
      record: record(.fill, 4, at: 400) {
        $0.offset = 1 << 40
        $0.value = 65_536
        $0.result = .absent(.notCreated)
        $0.cause = .again
      },
      line: "    0.000400 qemu-ppc64/4711      fill         esb:0x0:trigger             -"
        + "                              16 pages  range refused (source never created)  again",
      isColored: true),
    Sample(
      record: kernelFault.record,
      line: "    0.000500 qemu-ppc64/4711      kernel-fault esb:0x11:management         -"
        + "                       1.2us  write 0x7f1234567fc0 by 0x401a2c"),
  ]

  private static var kernelFault: KernelFault {
    var fault = KernelFault(
      time: device.start.monotonic + 500_000, threadID: 4_711, processID: 4_700,
      address: 0x7f12_3456_7fc0, instructionPointer: 0x40_1a2c)
    fault.offset = 1 << 40 | 0x2_3000
    fault.access = .write
    fault.outcome = .major
    fault.duration = 1_280
    return fault
  }

  private static let accesses = [
    Sample(
      record: record(.load, 6, at: 600) {
        $0.offset = 1 << 40 | 0x2_3800
        $0.value = 2
        $0.backing = .ipi
        $0.generation = 1
        $0.pq = (.pending, .pending)
        $0.accessByteCount = 8
        $0.serviceTime = 17_000
      },
      line: "    0.000600 qemu-ppc64/4711      load         esb:0x11:management+0x800   IPI gen 1"
        + "              17.0us  = 0x2  PQ 10->10"),
    Sample(
      record: record(.load, 7, at: 700) {
        $0.offset = 3 << 40 | 0xe010
        $0.value = .max
        $0.result = .absent(.notConnected)
        $0.accessByteCount = 1
      },
      line: "    0.000700 qemu-ppc64/4711      load         tima:3:os+0x10              -"
        + "                              all ones (no vCPU)",
      isColored: true),
    Sample(
      record: record(.store, 8, at: 800) {
        $0.offset = 0x2011
        $0.value = 0xff
        $0.backing = .tima
        $0.accessByteCount = 1
      },
      line: "    0.000800 qemu-ppc64/4711      store        tima:os+0x11                TIMA"
        + "                           0xff (1 byte)"),
    Sample(
      record: record(.store, 9, at: 900) {
        $0.offset = 1 << 40 | 7
        $0.result = .errno(22)
        $0.accessByteCount = 8
      },
      line: "    0.000900 qemu-ppc64/4711      store        esb:0x0:trigger+0x7         -"
        + "                              0x0  EINVAL", isColored: true),
    Sample(
      record: record(.writeBack, 10, at: 1_000) {
        $0.offset = 1 << 40 | 0x2_2000
        $0.backing = .ipi
        $0.generation = 1
        $0.result = .absent(.unchanged)
        $0.accessByteCount = 8
      },
      line: "    0.001000 qemu-ppc64/4711      write-back   esb:0x11:trigger+0x0        IPI gen 1"
        + "                      0x0  dropped (nothing changed)", isColored: true),
  ]

  private static let hotplug = [
    Sample(
      record: record(.plug, 11, at: 1_100) {
        $0.hardware = (phb: 3, irq: 0)
        $0.generation = 2
        $0.value = 64 | 4 << 32 | 1 << 63
        $0.serviceTime = 88_000
      },
      line: "    0.001100 qemu-ppc64/4711      plug         PHB 3                       gen 2"
        + "                  88.0us  64 MSIs, 4 LSIs, StoreEOI"),
    Sample(
      record: record(.publish, 12, at: 1_200) {
        $0.number = 0x1300
        $0.value = 64
        $0.hardware = (phb: 3, irq: 0)
        $0.generation = 2
        $0.cause = .map
      },
      line:
        "    0.001200 qemu-ppc64/4711      publish      LISN 0x1300-0x133f          PHB 3:0 gen 2"
        + "                  by map"),
    Sample(
      record: record(.zap, 13, at: 1_300) {
        $0.offset = 1 << 40 | 0x260_0000
        $0.value = 128 << 12
        $0.cause = .map
        served(&$0)
      },
      line: "    0.001300 qemu-ppc64/4711      zap          esb:0x1300:trigger          -"
        + "                  1.2+13.4us  128 pages  by map"),
    Sample(
      record: record(.map, 14, at: 1_400) {
        $0.number = 0x1300
        $0.value = 64
        $0.hardware = (phb: 3, irq: 0)
        $0.generation = 2
        $0.serviceTime = 1_234_567
      },
      line:
        "    0.001400 qemu-ppc64/4711      map          LISN 0x1300-0x133f          PHB 3:0 gen 2"
        + "        1234.5us"),
    Sample(
      record: record(.unmap, 15, at: 1_500) {
        $0.number = 0x1300
        $0.value = 1
        $0.hardware = (phb: 3, irq: 0)
        $0.generation = 3
        $0.serviceTime = 99
      },
      line:
        "    0.001500 qemu-ppc64/4711      unmap        LISN 0x1300                 PHB 3:0 gen 3"
        + "           0.0us"),
    Sample(
      record: record(.unplug, 16, at: 1_600) {
        $0.hardware = (phb: 3, irq: 0)
        $0.generation = 2
        $0.value = 63
        $0.serviceTime = 2_000_000
      },
      line: "    0.001600 qemu-ppc64/4711      unplug       PHB 3                       gen 2"
        + "                2000.0us  63 sources unmapped"),
    Sample(
      record: record(.fence, 17, at: 1_700) {
        $0.hardware = (phb: 3, irq: 0)
        $0.generation = 2
        $0.value = 1
      },
      line: "    0.001700 qemu-ppc64/4711      fence        PHB 3                       gen 2"
        + "                          fenced"),
    Sample(
      record: record(.update, 18, at: 1_800) {
        $0.offset = 1 << 40 | 0x2_3000
        $0.value = 64
        $0.serviceTime = 2_100
      },
      line: "    0.001800 qemu-ppc64/4711      update       esb:0x11:management         -"
        + "                       2.1us  64 bytes"),
  ]

  private static let events = [
    Sample(
      record: record(.trigger, 19, at: 1_900) {
        $0.number = 0x11
        $0.backing = .ipi
        $0.pq = (.reset, .pending)
      },
      line: "    0.001900 qemu-ppc64/4711      trigger      LISN 0x11                   IPI"
        + "                            PQ 00->10"),
    Sample(
      record: record(.forward, 20, at: 2_000) {
        $0.number = 0x11
        $0.value = 1 << 63 | 8 << 32 | 0x4711
      },
      line: "    0.002000 qemu-ppc64/4711      forward      LISN 0x11                   -"
        + "                              to END 8 as 0x4711"),
    Sample(
      record: record(.forward, 21, at: 2_100) {
        $0.hardware = (phb: 3, irq: 7)
        $0.result = .absent(.toHost)
      },
      line: "    0.002100 qemu-ppc64/4711      forward      PHB 3:7                     PHB 3:7"
        + "                        to the host", isColored: true),
    Sample(
      record: record(.eoi, 22, at: 2_200) {
        $0.number = 0x1303
        $0.hardware = (phb: 3, irq: 3)
        $0.value = 1
        $0.pq = (.queued, .pending)
      },
      line: "    0.002200 qemu-ppc64/4711      eoi          LISN 0x1303                 PHB 3:3"
        + "                        next event forwarded  PQ 11->10"),
    Sample(
      record: record(.notify, 23, at: 2_300) {
        $0.number = 2
        $0.value = 0x8006_0200_ff00_ff05
      },
      line: "    0.002300 qemu-ppc64/4711      notify       vCPU 2                      -"
        + "                              OS ring 0x80060200ff00ff05"),
  ]

  private static let others = [
    Sample(
      record: record(.attribute, 24, at: 2_400) {
        $0.generation = 2
        $0.offset = 0x11
        $0.half = 0
        $0.value = 1
        $0.result = .errno(7)
        $0.serviceTime = 4_000
      },
      line: "    0.002400 qemu-ppc64/4711      attribute    set SOURCE 0x11             -"
        + "                       4.0us  0x1  E2BIG", isColored: true),
    Sample(
      record: record(.attribute, 25, at: 2_500) {
        $0.generation = 0x4020_ae76
        $0.half = 3
        $0.serviceTime = 5_000
      },
      line: "    0.002500 qemu-ppc64/4711      attribute    KVM_IRQFD                   -"
        + "                       5.0us"),
    Sample(
      record: record(.guestError, 26, at: 2_600) {
        $0.value = 6
        $0.number = 0x20
      },
      line: "    0.002600 qemu-ppc64/4711      guest-error  END 0x20                    -"
        + "                              endInvalid"),
    Sample(
      record: task("qemu-ppc64"),
      line: "    0.000000 qemu-ppc64/4711      task         -                           -"
        + "                              qemu-ppc64"),
    Sample(
      record: record(.gap, 27, at: 2_700) { $0.value = 1_234 },
      line: "    0.002700 1234 records lost: overwritten before they were read", isColored: true),
  ]
}
