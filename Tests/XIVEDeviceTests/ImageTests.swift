import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Page images")
struct ImageTests {
  private static let windows = ESBWindow.allCases

  @Test("Every slot of a management page is as the table says", arguments: PQ.allCases, windows)
  func managementPage(pq: PQ, window: ESBWindow) throws {
    for geometry in ESBGeometry.allCases {
      let rig = Rig(geometry: geometry)
      rig.setPQ(2, pq)
      let image = try rig.image(rig.offset(2, .management, window))
      #expect(image.count == 4_096)
      for slot in 0..<504 {
        let isPQ = (0x800..<0xc00).contains(slot * 8)
        #expect(image.slot(slot) == (isPQ ? UInt64(pq.rawValue) : XIVE_ALL_ONES), "slot \(slot)")
      }
    }
  }

  @Test("Every slot of a trigger page is all ones", arguments: PQ.allCases, windows)
  func triggerPage(pq: PQ, window: ESBWindow) throws {
    for geometry in [ESBGeometry.two4K, .two64K] {
      let rig = Rig(geometry: geometry)
      rig.setPQ(2, pq)
      let image = try rig.image(rig.offset(2, .trigger, window))
      #expect(image.count == 4_096)
      for slot in 0..<504 { #expect(image.slot(slot) == .max, "slot \(slot)") }
    }
  }

  @Test("A TIMA page that no vCPU is behind is all ones")
  func timaPage() throws {
    let rig = Rig()
    let image = try rig.image(2 * 4_096)
    for slot in 0..<504 { #expect(image.slot(slot) == .max, "slot \(slot)") }
    let signature = try #require(Signature(image))
    #expect(signature.value.lisn == .max)
    #expect(signature.value.half == XIVE_VIEW_OS)
    #expect(signature.value.backing == XIVE_BACKING_TIMA)
    #expect(signature.value.generation == 0)
    #expect(signature.value.device_offset == 2 * 4_096)
  }

  @Test("A 64 KiB page is 16 equal parts", arguments: PQ.allCases, ESBHalf.allCases)
  func largePage(pq: PQ, half: ESBHalf) throws {
    let rig = Rig(geometry: .two64K)
    rig.setPQ(2, pq)
    for window in ESBWindow.allCases {
      let start = rig.offset(2, half, window)
      let first = try rig.image(start)
      for part in UInt64(1)..<16 {
        #expect(try rig.image(start + part * 4_096) == first, "part \(part)")
      }
    }
  }

  @Test("The signature names the page field by field", arguments: ESBGeometry.allCases, windows)
  func signature(geometry: ESBGeometry, window: ESBWindow) throws {
    let rig = Rig(sources: 70_000, existing: 0, geometry: geometry)
    for lisn: UInt32 in [0, 1, 0x1303, 69_999] {
      rig.create(lisn)
      for half in ESBHalf.allCases where geometry.pageCount == 2 || half == .management {
        let offset = rig.offset(lisn, half, window)
        let signature = try #require(Signature(try rig.image(offset))).value
        #expect(signature.magic == XIVE_SIGNATURE_MAGIC)
        #expect(signature.lisn == lisn)
        #expect(signature.half == (half == .trigger ? XIVE_TRIGGER : XIVE_MANAGEMENT))
        #expect(signature.backing == XIVE_BACKING_IPI)
        #expect(signature.phb == 0)
        #expect(signature.hwirq == 0)
        #expect(signature.zero == 0)
        #expect(signature.generation == 1)
        #expect(signature.device_offset == offset)
        #expect(signature.zero2.0 == 0 && signature.zero2.1 == 0)
      }
    }
  }

  @Test("The signature of a passed-through page names PHB, interrupt and generation")
  func foreignSignature() throws {
    let index = try #require(PHBIndex(rawValue: 0x3fe))
    let phb = PHB(index, PHBShape(msiCount: 0xffff), generation: 3)
    let offset: UInt64 = 0x123_4567_8000
    let page = ServedPage(
      owner: .phb(phb, HardwareIRQ(rawValue: 0xfedc)), lisn: LISN(rawValue: 0xabcde),
      parity: .management, generation: 0x8765_4321)
    let tail = page.signature(at: offset).tail
    let bytes = tail.indices.flatMap { tail[$0].memoryBytes }
    let signature = try #require(Signature([UInt8](repeating: 0, count: 0xfc0) + bytes)).value
    #expect(signature.lisn == 0xabcde)
    #expect(signature.half == XIVE_MANAGEMENT)
    #expect(signature.backing == XIVE_BACKING_PHB)
    #expect(signature.phb == 0x3fe)
    #expect(signature.hwirq == 0xfedc)
    #expect(signature.generation == 0x8765_4321)
    #expect(signature.device_offset == offset)
  }

  @Test("Creating a source again leaves its signature as it was")
  func generationOfARecreatedSource() throws {
    let rig = Rig()
    let page = rig.offset(1, .management)
    let before = try rig.image(page)
    rig.create(1, isLSI: true)
    #expect(try rig.image(page) == before)
  }
}

/// The C structure as it lies at the end of an image, in host order.
struct Signature {
  let value: xive_page_signature

  init?(_ image: [UInt8]) {
    guard image.count == 4_096, MemoryLayout<xive_page_signature>.size == 64 else { return nil }
    let start = Int(XIVE_SIGNATURE_OFFSET)
    var value = unsafe image.withUnsafeBytes {
      unsafe $0.loadUnaligned(fromByteOffset: start, as: xive_page_signature.self)
    }
    value.magic = value.magic.bigEndian
    value.lisn = value.lisn.bigEndian
    value.half = value.half.bigEndian
    value.backing = value.backing.bigEndian
    value.phb = value.phb.bigEndian
    value.hwirq = value.hwirq.bigEndian
    value.generation = value.generation.bigEndian
    value.device_offset = value.device_offset.bigEndian
    self.value = value
  }
}
