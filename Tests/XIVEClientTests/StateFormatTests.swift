import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Saved states, byte by byte")
struct StateFormatTests {
  private static let bytes = StateSamples.small.fileBytes
  /// Where things lie in the small state.
  private static let (vp, end, sources) = (112, 136, 176)

  @Test("A state is the bytes that the description says, written out by hand")
  func golden() throws {
    let header: [UInt8] =
      Array("XIVESAVE".utf8) + [1, 0, 0, 0, 112, 0, 0, 0, 244, 0, 0, 0, 0, 0, 0, 0]
      + [4, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0]
      + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      + [112, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
      + [136, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
      + [176, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
    let vp: [UInt8] =
      [1, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 2, 0, 0xff, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]
    // Valid, enqueue, always, backlog, 2^(12+4) bytes; toggle 0, index 5; 0x123450000; NVT 0x401, priority 6.
    let end: [UInt8] =
      [14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0xf0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x45, 0x23]
      + [0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 6, 0]
    let sources: [UInt8] =
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      + [0, 0, 0, 0, 1, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0]
      + [14, 0, 0, 0, 0x68, 0x24, 0, 0, 0x33, 0, 0, 0, 0, 0, 0, 0]
      + [0, 0, 0, 0, 1, 0, 0, 0, 0x1e, 0, 0, 0, 0, 0, 0, 0]
    let golden = header + vp + end + sources + [0x0e, 0x20, 0xd1, 0x44]
    #expect(Self.bytes == golden)
    #expect(StateSamples.small.fileByteCount == golden.count)
    #expect(try MachineState(fileBytes: golden) == StateSamples.small)
  }

  @Test("What it counts: created sources, queues, events that wait")
  func counts() {
    let state = StateSamples.small
    #expect(state.createdSourceCount == 3)
    #expect(state.queueCount == 1)
    #expect(state.latchedCount == 1)
  }

  @Test("Any state is read as it was written")
  func roundTrips() throws {
    var random = Seed.generator(stream: 0x5a7e)
    for _ in 0..<100 {
      let state = StateSamples.random(&random)
      let bytes = state.fileBytes
      #expect(try MachineState(fileBytes: bytes) == state, "\(Seed.comment)")
      #expect(try MachineState(fileBytes: bytes).fileBytes == bytes, "\(Seed.comment)")
      #expect(state.fileByteCount == bytes.count)
    }
  }

  @Test("The largest machine has its place")
  func largest() throws {
    var state = StateSamples.small
    state.geometry = DeviceGeometry(
      sourceCount: 1 << 20, serverCount: 16_384, pageShift: 16, pagesPerSource: 1,
      supportsStoreEOI: true)
    state.serverCount = 16_384
    state.sources = [SourceRecord](repeating: state.sources[2], count: 1 << 20)
    state.ends = (0..<131_072).map {
      ENDRecord(index: ENDIndex(rawValue: $0), end: state.ends[0].end)
    }
    state.vps = (0..<16_384).map { VPRecord(server: Server(rawValue: $0), w01: UInt64($0)) }
    #expect(try MachineState(fileBytes: state.fileBytes) == state)
  }

  // MARK: - What is not a state

  @Test("A file with any one bit flipped is refused")
  func flips() {
    for index in Self.bytes.indices {
      for bit in 0..<8 {
        var bytes = Self.bytes
        bytes[index] ^= 1 << bit
        #expect(refusal(of: bytes) != nil, "bit \(bit) of byte \(index)")
      }
    }
  }

  @Test("A file that is cut short anywhere is refused, and so is a longer one")
  func lengths() {
    for count in 0..<Self.bytes.count {
      let error = refusal(of: Array(Self.bytes[..<count]))
      switch count {
      case 0..<8: #expect(error == .notAState)
      case ..<24: #expect(error == .length(expected: 116, found: UInt64(count)))
      default: #expect(error == .length(expected: 244, found: UInt64(count)))
      }
    }
    for more in [1, 4, 16, 4_096] {
      let long = Self.bytes + [UInt8](repeating: 0, count: more)
      #expect(refusal(of: long) == .length(expected: 244, found: UInt64(244 + more)))
      // It says that it is so long, and it is; but nothing is there for it to be.
      let consistent = long.setting(UInt64(long.count), at: 16)
      #expect(refusal(of: consistent)?.isInconsistent("sections") == true, "\(more) more")
    }
  }

  @Test("Another version is told, whatever follows; other magic is no state")
  func versions() {
    for version in [0, 2, 0x100, .max] as [UInt32] {
      #expect(refusal(of: Self.bytes.setting(version, at: 8)) == .version(version))
    }
    #expect(refusal(of: Array("XIVESAVE\u{2}\0\0\0?".utf8)) == .version(2))
    #expect(refusal(of: Self.bytes.setting(UInt64(0), at: 0)) == .notAState)
    #expect(refusal(of: []) == .notAState)
  }

  @Test("A checksum that is not that of the contents is told with both")
  func checksum() {
    var bytes = Self.bytes
    bytes[200] ^= 1
    let (right, wrong) = (bytes.withChecksum, bytes)
    let sum = right.dropLast(4).crc32
    let found = Self.bytes.dropLast(4).crc32
    #expect(refusal(of: wrong) == .checksum(expected: sum, found: found))
  }

  @Test(
    "Sections that lie are refused before anything is made of them",
    arguments: [64, 72, 80, 88, 96, 104])
  func sections(place: Int) {
    let own: UInt64 = Self.bytes.number(at: place)
    let lies: [UInt64] = [
      0, 1, 2, 3, 5, 111, 113, 1 << 20, 1 << 20 + 1, 1 << 32, 1 << 59, 1 << 60, 1 << 62, 1 << 63,
      1 << 63 + 1, .max - 15, .max,
      // With the record's size these wrap to what is right.
      own &+ 1 << 60, own &+ 1 << 61,
    ]
    for lie in lies where lie != own {
      let error = refusal(of: Self.bytes.setting(lie, at: place))
      #expect(
        error?.isInconsistent("vCPUs", "ENDs", "sources", "sections") == true,
        "\(lie) at \(place): \(error?.description ?? "taken")")
    }
  }

  // MARK: - What cannot be

  @Test("Every reserved field must be zero", arguments: [52, 56, 60, 116, 128, 132, 140])
  func reserved(offset: Int) {
    for value in [1, 0x8000_0000] as [UInt32] {
      let error = refusal(of: Self.bytes.setting(value, at: offset))
      #expect(error?.description.contains("is reserved") == true, "\(offset)")
    }
  }

  @Test("A geometry that no device has is refused")
  func geometry() {
    let edits: [(Int, [UInt32])] = [
      (12, [0, 111, 113, .max]), (24, [0, 3, 1 << 20 + 1, .max]), (28, [0, 11, 13, 17, .max]),
      (32, [0, 3, .max]), (36, [2, 3, .max]), (40, [0, 1, 16_385, .max]), (44, [0, 3, 5, .max]),
      (48, [0, 1, 3, .max]),
    ]
    for (offset, values) in edits {
      for value in values {
        let error = refusal(of: Self.bytes.setting(value, at: offset))
        #expect(error?.isInconsistent() == true, "\(value) at \(offset)")
      }
    }
    #expect(refusal(of: Self.bytes.setting(UInt32(1), at: 36)) == nil, "StoreEOI")
    #expect(refusal(of: Self.bytes.setting(UInt32(16), at: 28)) == nil, "64 KiB")
  }

  @Test("vCPUs and ENDs that no device has are refused")
  func records() {
    let edits: [(Int, [UInt32])] = [
      (Self.vp, [2, 3, .max]),
      (Self.end, [16, 17, 0x1000_000e, .max]),
      // Not valid; 2^25 bytes, a queue that is not aligned, an index beyond 2^14 entries.
      (Self.end + 8, [0, 0x7004_0000, 0xf00d_0000, 0xf005_0000, 0xf00f_0000]),
      (Self.end + 12, [0x4000, 0x3f_ffff]),
      (Self.end + 20, [0x2345_1000, 0x2345_8000]),
      // A logical server; a group of vCPUs.
      (Self.end + 32, [0x80_0401]), (Self.end + 36, [0x8006_0000]),
    ]
    for (offset, values) in edits {
      for value in values {
        let error = refusal(of: Self.bytes.setting(value, at: offset))
        #expect(error?.isInconsistent() == true, "\(String(value, radix: 16)) at \(offset)")
      }
    }
    // What is not a queue's does not matter where there is none.
    let silent = Self.bytes.setting(UInt32(0xb00f_0000), at: Self.end + 8)
    #expect(refusal(of: silent.setting(UInt32(0x3f_ffff), at: Self.end + 12)) == nil)
  }

  @Test("Records out of order, and one twice, are refused")
  func order() {
    var state = StateSamples.small
    state.vps = [VPRecord(server: 1, w01: 0), VPRecord(server: 0, w01: 0)]
    #expect(refusal(of: state.fileBytes)?.isInconsistent("vCPU of server 0") == true)
    state.vps = [VPRecord(server: 1, w01: 0), VPRecord(server: 1, w01: 0)]
    #expect(refusal(of: state.fileBytes)?.isInconsistent("vCPU of server 1") == true)
    state.vps = []
    let end = state.ends[0]
    state.ends = [end, ENDRecord(index: ENDIndex(0, 0), end: end.end)]
    #expect(refusal(of: state.fileBytes)?.isInconsistent("END 0") == true)
    state.ends = [end, end]
    #expect(refusal(of: state.fileBytes)?.isInconsistent("END 14") == true)
  }

  @Test(
    "Sources that cannot be are refused, by number",
    arguments: [
      // Configuration, flags.
      (0, 1), (1 << 32, 0), (6, 0), (0, 0x1_0000_0000), (0, 0x20),  // never created, with state
      (1 << 32, 0x111), (1 << 32, 0x8000_0000_0000_0011), (1 << 32, 0x400_0000_0000_0091),
      (1 << 32, 0x1_0000_0011), (1 << 32, 0x1_0000_0000_0011),  // a PHB's numbers without one
      (1 << 32, 0x18),  // a line of a message source
      (1 << 32 | 1, 0x11), (1 << 33 | 1 << 32, 0x11), (1 << 32 | 8, 0x11),  // masked with a route
      (7, 0x11), (16, 0x11), (0xffff_fff8, 0x11),  // priority 7; no such server
    ] as [(UInt64, UInt64)])
  func sources(configuration: UInt64, flags: UInt64) {
    let bytes = Self.bytes.setting(configuration, at: Self.sources + 16)
      .setting(flags, at: Self.sources + 24)
    #expect(refusal(of: bytes)?.isInconsistent("source 0x1") == true)
  }

  private func refusal(of bytes: [UInt8]) -> StateFileError? {
    do {
      _ = try MachineState(fileBytes: bytes)
      return nil
    } catch { return error }
  }
}

extension StateFileError {
  /// Whether a part is said to be impossible; one of these, if any are named.
  fileprivate func isInconsistent(_ parts: String...) -> Bool {
    guard case .inconsistent(let part, _) = self else { return false }
    return parts.isEmpty || parts.contains(part)
  }
}

extension [UInt8] {
  fileprivate func number(at offset: Int) -> UInt64 {
    self[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
