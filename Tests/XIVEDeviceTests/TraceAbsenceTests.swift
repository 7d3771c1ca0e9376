import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Why there was no page", .hangGuard)
struct TraceAbsenceTests {
  @Test("A source that was created after its page was asked for had not been created")
  func createdSince() {
    for half in [ESBHalf.trigger, .management] {
      let rig = Rig()
      #expect(rig.device.absence(at: rig.offset(4, half), after: nil) == .notCreated)
      rig.create(4)
      #expect(rig.device.absence(at: rig.offset(4, half), after: nil) == .notCreated)
    }
  }

  @Test("A source with one page has no trigger page, created or not") func onePage() {
    let rig = Rig(geometry: .one4K)
    #expect(rig.device.absence(at: rig.offset(0, .trigger), after: nil) == .noTriggerPage)
    #expect(rig.device.absence(at: rig.offset(8, .trigger), after: nil) == .outOfRange)
  }
}
