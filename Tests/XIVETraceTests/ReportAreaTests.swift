import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Areas of a report's map", .hangGuard)
struct ReportAreaTests {
  private func areas(_ runs: [ClosedRange<UInt32>], _ touched: [UInt32] = []) -> [ReportArea] {
    var device = ReportRecords.device
    let map = device.map
    device.segments = runs.map { run in
      let first = map.offset(of: .esb(LISN(rawValue: run.lowerBound), .trigger))
      return first..<map.offset(of: .esb(LISN(rawValue: run.upperBound), .management)) + 4_096
    }
    let records = touched.map { ReportRecords.fill($0) }
    return ReportAnalysis(Trace(device: device, records: records)).areas.drawn
  }

  @Test("Sources are drawn by what pseries uses their numbers for")
  func uses() {
    let drawn = areas([0x0ff0...0x1001, 0x1100...0x1107], [0x1300])
    #expect(drawn.map(\.name) == ["IPI", "EPOW", "hot-plug", "VIO", "MSI"])
    #expect(
      drawn.map(\.numbers) == [
        0xff0...0xfff, 0x1000...0x1000, 0x1001...0x1001, 0x1100...0x1107, 0x1300...0x1300,
      ])
    #expect(drawn.map(\.counts.faults) == [0, 0, 0, 0, 1])
  }

  @Test("A cell holds so many numbers that there are at most 256 of them")
  func cells() {
    #expect(areas([0...255]).map(\.cellSize) == [1])
    #expect(areas([0...256]).map(\.cellSize) == [2])
    let wide = areas([5...0xfff], [5, 19, 0xfff])
    #expect(wide.map(\.cellSize) == [16])
    #expect(wide[0].numbers == 0...0xfff)
    #expect(wide[0].cells.count == 256)
    #expect([0, 1, 2, 255].map { wide[0].cells[$0].faults } == [1, 1, 0, 1])
    #expect(wide[0].numbers(ofCell: 255) == 0xff0...0xfff)
  }

  @Test("What existed is known cell by cell")
  func existence() {
    let area = areas([0...3, 40...40, 511...511])[0]
    #expect(area.cellSize == 2)
    #expect(
      [0, 1, 2, 19, 20, 21, 254, 255].map(area.exists) == [
        true, true, false, false, true, false, false, true,
      ])
  }

  @Test("The window of the kernel shows nothing twice, nor its TIMA as sources")
  func window() {
    var device = ReportRecords.device
    device.segments = [2 * 4_096..<12 * 4_096, Region.esb.start..<Region.esb.start + 8 * 4_096]
    let drawn = ReportAnalysis(Trace(device: device)).areas.drawn
    #expect(drawn.map(\.name) == ["IPI", "TIMA of the connected vCPU"])
    #expect(drawn[0].existing == [0...3])
  }

  @Test("PHBs have areas of their own, the sixteen with the most faults")
  func phbs() {
    let records = (0..<20).flatMap { phb in
      (0...phb).map { _ in
        var record = ReportRecords.fill(0)
        record.offset = UInt64(16 + phb) << 40 | 0x3000
        return record
      }
    }
    var device = ReportRecords.device
    device.segments = []
    let areas = ReportAnalysis(Trace(device: device, records: records)).areas
    #expect(areas.drawn.map(\.name) == (4..<20).map { "PHB \($0)" })
    #expect(areas.leftOut == 4)
    #expect(areas.drawn[0].numbers == 0x4_0003...0x4_0003)
  }
}
