import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// A number that the Swift side repeats, next to the C header's.
struct RepeatedNumber: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let swift: UInt64
  let header: UInt64

  init<A: BinaryInteger, B: BinaryInteger>(_ name: String, _ swift: A, _ header: B) {
    testDescription = name
    self.swift = UInt64(swift)
    self.header = UInt64(header)
  }

  private static func region(_ name: String, _ region: Region?, _ number: UInt32) -> Self {
    RepeatedNumber("region \(name)", region?.start ?? .max, xive_region_offset(number))
  }

  private static let phb = PHBIndex(rawValue: 1_023)

  static let all =
    [
      RepeatedNumber("region shift", Region.shift, XIVE_REGION_SHIFT),
      RepeatedNumber("file size", DeviceMap.fileByteCount, XIVE_DEVICE_SIZE),
      RepeatedNumber(
        "first ESB page of the kernel", DeviceMap.kernelESBPage, KVM_XIVE_ESB_PAGE_OFFSET),
      RepeatedNumber("first TIMA page of the kernel", 0, KVM_XIVE_TIMA_PAGE_OFFSET),
      RepeatedNumber("most sources", LISN.maximumCount, XIVE_MAX_SOURCES),
      RepeatedNumber("most PHBs", PHBIndex.maximumCount, XIVE_MAX_PHBS),
      RepeatedNumber("most interrupts of a PHB", HardwareIRQ.maximumCount, XIVE_MAX_PHB_IRQS),
      RepeatedNumber("sources in a block", SourceTable.blockSize, XIVE_SOURCES_PER_BLOCK),
      RepeatedNumber("signature offset", PageSignature.offset, XIVE_SIGNATURE_OFFSET),
      RepeatedNumber("body size", ImageBodies.byteCount, XIVE_SIGNATURE_OFFSET),
      RepeatedNumber("signature magic", PageSignature.magic, XIVE_SIGNATURE_MAGIC),
      RepeatedNumber("PQ window start", ImageBodies.pqWindow.lowerBound, XIVE_ESB_GET),
      RepeatedNumber("PQ window end", ImageBodies.pqWindow.upperBound, XIVE_ESB_SET_PQ_00),
      RepeatedNumber("trigger half", ESBHalf.trigger.rawValue, XIVE_TRIGGER),
      RepeatedNumber("management half", ESBHalf.management.rawValue, XIVE_MANAGEMENT),
      RepeatedNumber("notification half", ENDHalf.notification.rawValue, XIVE_END_NOTIFY),
      RepeatedNumber("escalation half", ENDHalf.escalation.rawValue, XIVE_END_ESCALATE),
      RepeatedNumber("HW view", TIMAView.hw.rawValue, XIVE_VIEW_HW),
      RepeatedNumber("HV view", TIMAView.hv.rawValue, XIVE_VIEW_HV),
      RepeatedNumber("OS view", TIMAView.os.rawValue, XIVE_VIEW_OS),
      RepeatedNumber("user view", TIMAView.user.rawValue, XIVE_VIEW_USER),
      RepeatedNumber("views", TIMAView.allCases.count, XIVE_VIEWS),
      RepeatedNumber("backing IPI", PageSignature.Backing.ipi.rawValue, XIVE_BACKING_IPI),
      RepeatedNumber("backing PHB", PageSignature.Backing.phb.rawValue, XIVE_BACKING_PHB),
      RepeatedNumber("backing TIMA", PageSignature.Backing.tima.rawValue, XIVE_BACKING_TIMA),
      RepeatedNumber("backing END", PageSignature.Backing.end.rawValue, XIVE_BACKING_END),
      RepeatedNumber("PQ 00", PQ.reset.rawValue, XIVE_PQ_RESET),
      RepeatedNumber("PQ 01", PQ.off.rawValue, XIVE_PQ_OFF),
      RepeatedNumber("PQ 10", PQ.pending.rawValue, XIVE_PQ_PENDING),
      RepeatedNumber("PQ 11", PQ.queued.rawValue, XIVE_PQ_QUEUED),
      region("kernel", .kernel, XIVE_REGION_KERNEL), region("ESB", .esb, XIVE_REGION_ESB),
      region("END", .end, XIVE_REGION_END), region("TIMA", .tima, XIVE_REGION_TIMA),
      region("PHB", phb.map { .phb($0) }, XIVE_REGION_PHB + XIVE_MAX_PHBS - 1),
      region("state", .sourceState, XIVE_REGION_STATE), region("trace", .trace, XIVE_REGION_TRACE),
    ]
}

@Suite("Numbers that Swift repeats from xive.h")
struct ABITests {
  @Test("The number is the header's", arguments: RepeatedNumber.all)
  func number(_ number: RepeatedNumber) { #expect(number.swift == number.header) }

  @Test("The structures have the sizes that requests carry")
  func sizes() {
    #expect(MemoryLayout<xive_page_signature>.size == MemoryLayout<PageImage.Tail>.size)
    #expect(MemoryLayout<xive_attr>.size == 128)
    #expect(MemoryLayout<xive_info_geometry>.size == 32)
    #expect(MemoryLayout<xive_info_counters>.size == Int(XIVE_ATTR_DATA_SIZE))
    #expect(Int(XIVE_SIGNATURE_OFFSET) + MemoryLayout<xive_page_signature>.size == 4_096)
  }

  @Test("The requests have the numbers that _IOC makes of their parts")
  func requestNumbers() {
    // Direction in bits 30-31 (1 write, 2 read), size in 16-29, type in 8-15, number in 0-7.
    #expect(xive_set_attr_request == 3 << 30 | 128 << 16 | 0x58 << 8 | 1)
    #expect(xive_get_attr_request == 3 << 30 | 128 << 16 | 0x58 << 8 | 2)
    for (number, request) in [(0xe1, KVMRequest.set), (0xe2, .get), (0xe3, .has)] {
      #expect(request.rawValue == 1 << 30 | 24 << 16 | 0xae << 8 | UInt32(number))
    }
  }

  @Test("Offsets are the header's inline functions'", arguments: [UInt64(12), 16])
  func offsets(shift: UInt64) {
    let map = DeviceMap(pageShift: shift, sourceCount: 1 << 20, serverCount: 16_384)
    let size = map.pageByteCount
    for number: UInt32 in [0, 1, 5, 0x1303, 16_383] {
      let lisn = LISN(rawValue: number << 6 | 1)
      let server = Server(rawValue: number)
      for half in ESBHalf.allCases {
        let h = half.rawValue
        #expect(map.offset(of: .esb(lisn, half)) == xive_esb_offset(lisn.rawValue, h, size))
        #expect(map.kernelOffset(of: lisn, half) == xive_kernel_esb_offset(lisn.rawValue, h, size))
      }
      for view in TIMAView.allCases {
        let v = view.rawValue
        #expect(map.offset(of: .connectedTIMA(view)) == xive_kernel_tima_offset(v, size))
        #expect(map.offset(of: .tima(server, view)) == xive_tima_offset(number, v, size))
      }
      let end = xive_end_index(number, 5)
      #expect(end == xive_eq_id(number, 5))
      #expect(
        map.offset(of: .end(index: UInt32(end), .escalation))
          == xive_end_offset(end, XIVE_END_ESCALATE, size))
      for phb in [UInt16(0), 1_023].compactMap({ PHBIndex(rawValue: $0) }) {
        let irq = HardwareIRQ(rawValue: UInt16(number))
        #expect(
          map.offset(of: .phb(phb, irq))
            == xive_phb_offset(UInt32(phb.rawValue), number, size))
      }
    }
  }

  @Test("Operations have the header's offsets", arguments: PQ.allCases)
  func operations(pq: PQ) {
    let step = UInt64(XIVE_ESB_SET_PQ_STEP)
    let offset = UInt64(XIVE_ESB_SET_PQ_00) + UInt64(pq.rawValue) * step
    let named = [
      XIVE_ESB_SET_PQ_00, XIVE_ESB_SET_PQ_01, XIVE_ESB_SET_PQ_10, XIVE_ESB_SET_PQ_11,
    ]
    #expect(UInt64(named[Int(pq.rawValue)]) == offset)
    #expect(ESBOperation.load(at: offset, of: .management) == .set(pq))
    #expect(ESBOperation.load(at: offset + step - 8, of: .management) == .set(pq))
    #expect(ESBOperation.load(at: UInt64(XIVE_ESB_LOAD_EOI), of: .management) == .loadEOI)
    #expect(ESBOperation.load(at: UInt64(XIVE_ESB_GET), of: .management) == .get)
    #expect(ESBOperation.store(at: UInt64(XIVE_ESB_STORE_EOI), of: .management) == .storeEOI)
  }

  @Test("TIMA offsets decode to what the header says of them")
  func tima() {
    let loads: [(UInt32, Int, TIMAView, TIMAOperation)] = [
      (XIVE_TIMA_OS_CPPR, 1, .os, .cppr(.os)), (XIVE_TIMA_THREAD_VALID, 1, .hv, .threadValid),
      (XIVE_TIMA_ACK_USER, 1, .user, .acknowledgeUser),
      (XIVE_TIMA_USER_CONTEXT, 4, .os, .pull(.user)), (XIVE_TIMA_ACK_OS, 2, .os, .acknowledgeOS),
      (XIVE_TIMA_PULL_OS, 8, .hv, .pull(.os)), (XIVE_TIMA_PULL_POOL, 4, .hv, .pull(.pool)),
      (XIVE_TIMA_ACK_HV, 2, .hv, .acknowledgeHypervisor),
    ]
    for (offset, byteCount, view, operation) in loads {
      let found = TIMAOperation.load(at: UInt64(offset), byteCount: byteCount, view: view)
      #expect(found == operation, "\(operation)")
    }
    let stores: [(UInt32, Int, TIMAView, TIMAOperation)] = [
      (XIVE_TIMA_OS_CPPR, 1, .os, .cppr(.os)), (XIVE_TIMA_HV_CPPR, 1, .hv, .cppr(.phys)),
      (XIVE_TIMA_THREAD_VALID, 1, .hv, .threadValid), (XIVE_TIMA_OS_WORD2, 4, .hv, .push(.os)),
      (XIVE_TIMA_USER_CONTEXT, 4, .os, .push(.user)),
      (XIVE_TIMA_SET_OS_PENDING, 1, .os, .setPending),
    ]
    for (offset, byteCount, view, operation) in stores {
      let found = TIMAOperation.store(at: UInt64(offset), byteCount: byteCount, view: view)
      #expect(found == operation, "\(operation)")
    }
  }

  @Test("Refusals carry Linux's error numbers")
  func errors() {
    let numbers = DeviceError.allCases.map(\.rawValue)
    #expect(numbers == [1, 2, 6, 7, 9, 12, 14, 16, 17, 22, 25])
  }
}
