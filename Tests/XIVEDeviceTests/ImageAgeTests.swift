import PagedDevice
import Testing
import XIVEDevice
import XIVEModel

@Suite("Images older than the putting back of their slots")
struct ImageAgeTests {
  private let device = XIVEDevice(Configuration(sourceCount: 1))
  private let page = UInt64(1) << 40 | 0x1000

  @Test("A store that is found again while its slot is being put back is put back once more")
  func storedAgain() throws {
    try device.createSource(LISN(rawValue: 0))
    var image = try bytes(of: device.image(at: page))
    for offset in 0xd00..<0xd08 { image[offset] = 0 }
    writeBack(image)
    // putting back            | a consumer
    // ------------------------+---------------------------------
    // writes all ones to d00  |
    //                         | stores to d00 again
    //                         | the page is written back
    // settles what it found   |
    var firstRound: [UInt64] = []
    device.takeUpdates { update in
      firstRound.append(update.offset)
      if update.offset == page + 0xd00 { writeBack(image) }
    }
    #expect(firstRound.contains(page + 0xd00))
    var secondRound: [UInt64] = []
    device.takeUpdates { secondRound.append($0.offset) }
    #expect(secondRound.contains(page + 0xd00), "else it would count as a store with the next one")
    var thirdRound: [UInt64] = []
    device.takeUpdates { thirdRound.append($0.offset) }
    #expect(!thirdRound.contains(page + 0xd00))
  }

  @Test("An image that was made before a slot was put back shows no store there afterwards")
  func oldImage() throws {
    try device.createSource(LISN(rawValue: 0))
    var image = try bytes(of: device.image(at: page))
    for offset in 0xe00..<0xe08 { image[offset] = 0 }
    writeBack(image)
    let round = device.updateRound
    for offset in 0xd00..<0xd08 { image[offset] = 0 }
    device.takeUpdates { _ in }
    unsafe device.writeBack(image.span.bytes, at: page, since: round)
    #expect(try pq() == 1, "SET_PQ_01 alone: that of 10 has been performed")
    device.takeUpdates { _ in }
    unsafe device.writeBack(image.span.bytes, at: page, since: device.updateRound)
    #expect(try pq() == 2, "a newer image shows that both were stored again")
  }

  @Test("A page without a difference repeats a store only when one slot alone can be meant")
  func ambiguous() throws {
    try device.createSource(LISN(rawValue: 0))
    var image = try bytes(of: device.image(at: page))
    for offset in 0xe00..<0xe08 { image[offset] = 0 }
    writeBack(image)
    try setPQ(0)
    writeBack(image)
    #expect(try pq() == 2, "e00 again")
    for offset in 0xd00..<0xd08 { image[offset] = 0 }
    writeBack(image)
    try setPQ(0)
    writeBack(image)
    #expect(try pq() == 0, "d00 or e00: neither")
  }

  private func pq() throws -> UInt8 { try bytes(of: device.image(at: page))[0x807] }

  private func setPQ(_ pq: UInt64) throws {
    let value = [UInt8](repeating: 0, count: 8)
    try unsafe device.store(
      value.span.bytes, at: page + 0xc00 + pq << 8, by: Opener(id: 1, isWritable: true))
  }

  private func bytes(of image: PageImage) -> [UInt8] {
    var bytes = unsafe [UInt8](image.body)
    for index in image.tail.indices {
      let word = image.tail[index]
      unsafe withUnsafeBytes(of: word) { unsafe bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  private func writeBack(_ image: [UInt8]) {
    unsafe device.writeBack(image.span.bytes, at: page)
  }
}
