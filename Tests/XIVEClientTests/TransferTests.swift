import Testing

@testable import DeviceClient

@Suite("Transfers")
struct TransferTests {
  @Test(
    "A part ends with a page and with a record, and is as large as the kernel passes on",
    arguments: [
      (0x7000, 16, 1_048_576), (0x7020, 16, 1_048_544), (0x7ff0, 16, 1_044_496),
      (0x7001, 16, 1_048_560), (0x7fff, 16, 1_044_480), (0x7000, 24, 1_048_560),
      (0x7000, 2_000_000, 2_000_000),
    ] as [(UInt, Int, Int)])
  func parts(_ address: UInt, _ recordByteCount: Int, _ byteCount: Int) {
    #expect(DeviceDescriptor.partByteCount(address, recordByteCount) == byteCount)
  }
}
