import Testing
import XIVEModel
import XIVETestSupport

/// One page and one direction of access.
struct Window: CustomTestStringConvertible, Sendable {
  let page: VectorPage
  let access: VectorAccess

  static let all: [Window] = VectorPage.allCases.flatMap { page in
    VectorAccess.allCases.map { Window(page: page, access: $0) }
  }

  var testDescription: String { "\(access.rawValue)s of the \(page.rawValue) page" }
}

@Suite("Page offsets")
struct ESBOperationTests {
  /// Every 8-byte slot of the 4 KiB that decode.
  private static let slots = stride(from: UInt64(0), to: 0x1000, by: 8)

  @Test("The windows cover every offset of both pages exactly once", arguments: Window.all)
  func windowsAreComplete(_ window: Window) {
    let windows = ReferenceTable.windows.filter {
      $0.page == window.page && $0.access == window.access
    }
    for offset in Self.slots {
      #expect(windows.count { $0.offsets.contains(offset) } == 1, "\(hex(offset))")
    }
  }

  @Test("Every 8-byte offset decodes as its window says", arguments: Window.all)
  func decoding(_ window: Window) {
    for offset in Self.slots {
      let expected = ReferenceTable.operation(window.page, window.access, at: offset)
      let decoded = ESBOperation(window.access, window.page, at: offset)
      #expect(decoded == ESBOperation(expected), "\(hex(offset))")
    }
  }

  @Test("The pattern repeats every 4 KiB of a 64 KiB page", arguments: Window.all)
  func repetition(_ window: Window) {
    for repeated in stride(from: UInt64(0x1000), to: 0x10000, by: 0x1000) {
      for offset in Self.slots {
        let here = ESBOperation(window.access, window.page, at: repeated + offset)
        let first = ESBOperation(window.access, window.page, at: offset)
        if here != first { Issue.record("\(hex(repeated + offset)) decodes to \(here)") }
      }
    }
  }

  @Test("Offsets that software uses within a window decode alike")
  func subOffsets() {
    #expect(ESBOperation.load(at: 0x008, of: .management) == .loadEOI)
    #expect(ESBOperation.load(at: 0x7f8, of: .management) == .loadEOI)
    #expect(ESBOperation.load(at: 0xcf8, of: .management) == .set(.reset))
    // 0x40 behind a window asks for ordering, not for another operation.
    #expect(ESBOperation.load(at: 0xe40, of: .management) == .set(.pending))
  }

  @Test("StoreEOI is an event only where it is supported", arguments: [false, true])
  func storeEOI(isSupported: Bool) {
    let engine = Controller(count: 1, storeEOI: isSupported).engine
    #expect(engine.event(for: .storeEOI) == (isSupported ? .endOfInterrupt : nil))
  }

  @Test("What is not architected is no event; all else is", arguments: [false, true])
  func events(storeEOI: Bool) {
    let engine = Controller(count: 1, storeEOI: storeEOI).engine
    #expect(engine.event(for: .none) == nil)
    for operation in ReferenceOperation.allCases where operation != .storeEOI {
      #expect(engine.event(for: ESBOperation(operation)) == SourceEvent(operation))
    }
  }

  private func hex(_ offset: UInt64) -> String { "0x" + String(offset, radix: 16) }
}
