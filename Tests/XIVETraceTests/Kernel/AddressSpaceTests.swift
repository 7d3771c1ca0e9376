import Testing

import XIVETestSupport

@testable import XIVETrace

@Suite("What a process's addresses show", .hangGuard)
struct AddressSpaceTests {
  private static let maps = """
    5563e83a0000-5563e83b5000 r-xp 00004000 fe:00 16362782                   /usr/bin/a consumer
    7fca4e520000-7fca4e620000 rw-s 10000000000 00:27 1                       /tmp/device
    7fca4e620000-7fca4e720000 rw-p 00000000 00:00 0
    7ffc1f070000-7ffc1f091000 rw-p 00000000 00:00 0                          [stack]
    no mapping at all
    """
  private let device = FileIdentity(major: 0, minor: 0x27, inode: 1)

  @Test("The text of maps: offset, device, inode, and a path with a blank")
  func maps() throws {
    let space = AddressSpace(maps: Self.maps)
    #expect(space.mappings.count == 4)
    let found = try #require(space.mapping(at: 0x7fca_4e52_3c00))
    #expect(found.file == device)
    #expect(found.fileOffset(at: 0x7fca_4e52_3c00) == 0x100_0000_3c00)
    #expect(space.mapping(at: 0x5563_e83a_0000)?.path == "/usr/bin/a consumer")
    #expect(space.mapping(at: 0x7fca_4e62_0000)?.path == "")
    #expect(space.mapping(at: 0x7fca_4e51_ffff) == nil)
    #expect(space.mapping(at: 0x7fca_4e72_0000) == nil)
  }

  @Test("A new mapping takes its place from all that were there, and splits one that was wider")
  func overmap() throws {
    var space = AddressSpace()
    let other = FileIdentity(major: 8, minor: 1, inode: 2)
    func map(_ pages: Range<UInt64>, _ offset: UInt64, _ file: FileIdentity) {
      space.map(
        ProcessMapping(
          addresses: pages.lowerBound << 12..<pages.upperBound << 12, offset: offset << 12,
          file: file))
    }
    map(0..<10, 100, device)
    map(20..<30, 0, other)
    map(3..<5, 50, other)
    #expect(space.mappings.map { $0.addresses.lowerBound >> 12 } == [0, 3, 5, 20])
    #expect(space.mapping(at: 5 << 12)?.fileOffset(at: 5 << 12) == 105 << 12)
    #expect(space.mapping(at: 4 << 12)?.file == other)
    map(4..<25, 0, device)
    #expect(space.mappings.map { $0.addresses.lowerBound >> 12 } == [0, 3, 4, 25])
    #expect(space.mapping(at: 25 << 12)?.fileOffset(at: 25 << 12) == 5 << 12)
    #expect(space.mapping(at: 3 << 12)?.fileOffset(at: 3 << 12) == 50 << 12)
  }

  @Test("A process is looked at again for an address where nothing was, but not for each")
  func looks() {
    var looks = 0
    var resolver = FaultResolver(device: device, map: smallMap) { _ in
      looks += 1
      return Self.maps
    }
    func touch(_ address: UInt64, at time: UInt64) -> UInt64? {
      let fault = KernelFault(
        time: time, threadID: 1, processID: 1, address: address, instructionPointer: 0)
      return resolver.resolve(fault)?.offset
    }
    #expect(touch(0x7fca_4e52_3c00, at: 100) == 0x100_0000_3c00)
    #expect(touch(0x7fca_4e62_0000, at: 100) == nil)
    #expect(looks == 1)
    #expect(touch(0x1000, at: 200) == nil)
    #expect(looks == 1)
    #expect(touch(0x1000, at: 100 + FaultResolver.pause) == nil)
    #expect(looks == 2)
    resolver.forget(1)
    #expect(touch(0x7fca_4e52_3c00, at: 300) == 0x100_0000_3c00)
    #expect(looks == 3)
  }
}
