import CXIVE
import Testing

@testable import XIVEDevice

@Suite("Requests that are handled as soon as a load")
struct PromptRequestTests {
  private func isPrompt(
    _ payload: [UInt32], group: UInt32, number: UInt32 = xive_set_attr_request, size: Int = 128
  ) -> Bool {
    var input: [UInt8] = []
    for word in [0, group, 5, 0] + payload {
      unsafe withUnsafeBytes(of: word) { unsafe input.append(contentsOf: $0) }
    }
    input += [UInt8](repeating: 0, count: size - input.count)
    let rig = Rig()
    return unsafe input.withUnsafeBytes {
      rig.device.isPrompt(number, unsafe RawSpan(_unsafeBytes: $0))
    }
  }

  @Test("A short run is, mapped or unmapped; a long one is not", arguments: [UInt32(0), 1, 2, 3])
  func runs(flags: UInt32) {
    let group = XIVE_GROUP_PASSTHROUGH
    for count: UInt32 in [0, 1, 4_096] {
      #expect(isPrompt([0, 0, count, flags], group: group))
    }
    for count: UInt32 in [4_097, 65_536, .max] {
      #expect(!isPrompt([0, 0, count, flags], group: group))
    }
  }

  @Test("One interrupt's event is, fencing a whole PHB is not")
  func hardware() {
    for operation in 0..<UInt32(8) {
      #expect(isPrompt([operation, 0], group: XIVE_GROUP_HWIRQ) == (1...3).contains(operation))
    }
  }

  @Test("To ask for one thing is; to have the device count things is not")
  func gets() {
    let groups = [
      UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG), XIVE_GROUP_END, XIVE_GROUP_VP, XIVE_GROUP_MSI,
    ]
    for group in groups {
      #expect(isPrompt([], group: group, number: xive_get_attr_request))
      #expect(!isPrompt([], group: group, number: xive_get_attr_request, size: 127))
    }
    for group in [XIVE_GROUP_INFO, XIVE_GROUP_PHB] {
      #expect(!isPrompt([], group: group, number: xive_get_attr_request))
    }
  }

  @Test("Nothing else is: other groups and requests, pointers, other sizes")
  func others() {
    let run: [UInt32] = [0, 0, 1, 0]
    for group in [UInt32(KVM_DEV_XIVE_GRP_SOURCE), XIVE_GROUP_PHB, XIVE_GROUP_INFO, 0x77] {
      #expect(!isPrompt(run, group: group))
    }
    for number in KVMRequest.allCases.map(\.rawValue) + [0] {
      #expect(!isPrompt(run, group: XIVE_GROUP_PASSTHROUGH, number: number))
    }
    for size in [32, 127, 129] {
      #expect(!isPrompt(run, group: XIVE_GROUP_PASSTHROUGH, size: size))
    }
  }
}
