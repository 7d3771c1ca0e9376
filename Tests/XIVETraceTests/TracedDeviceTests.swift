import Testing
import XIVEClient
import XIVEModel

@testable import XIVETrace

@Suite("Traced devices")
struct TracedDeviceTests {
  @Test("The layout is that of the geometry")
  func layout() {
    let geometry = DeviceGeometry(
      sourceCount: 64, serverCount: 4, pageShift: 16, pagesPerSource: 2, supportsStoreEOI: true)
    #expect(TracedDevice(geometry: geometry).map.pageByteCount == 65_536)
  }
}
