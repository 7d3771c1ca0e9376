import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Why a request was refused")
struct RefusalTests {
  /// What was told, and whether a lock was held then.
  private final class Listener: Sendable {
    let told = Mutex<[Refusal]>([])
    let device = Mutex<XIVEDevice?>(nil)

    func hear(_ refusal: Refusal) {
      told.withLock { $0.append(refusal) }
      // The first lock of all, and the others that requests take: whoever has one of them ends the process in a debug
      // build, and hangs in any other.
      guard let device = device.withLock({ $0 }) else { return }
      device.hotplug.withLock { _ in }
      device.delivery.withLock { _ in }
      device.injection.withLock { _ in }
    }

    func take() -> [Refusal] {
      told.withLock { told in
        defer { told = [] }
        return told
      }
    }
  }

  /// A caller of whose nothing can be had.
  private final class Locked: Caller {
    let name = "locked"
    func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
      throw .badAddress
    }
    func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) { throw .badAddress }
    func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool {
      if descriptor == 5 { return true }
      throw .notPermitted
    }
    func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent { throw .notPermitted }
    func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
      -> any SharedMemory
    {
      throw .notPermitted
    }
  }

  private func attribute(_ group: UInt32, _ attribute: UInt64, _ address: UInt64) -> [UInt8] {
    UInt32(0).memoryBytes + group.memoryBytes + attribute.memoryBytes + address.memoryBytes
  }

  private func inline(_ group: UInt32, _ attribute: UInt64, _ words: [UInt32]) -> [UInt8] {
    let payload = words.flatMap(\.memoryBytes)
    return UInt32(0).memoryBytes + group.memoryBytes + attribute.memoryBytes + payload
      + [UInt8](repeating: 0, count: 112 - payload.count)
  }

  private func u32(_ words: UInt32...) -> [UInt8] { words.flatMap(\.memoryBytes) }

  @Test("Each is told once, when it is refused, and while no lock is held")
  func once() throws {
    let listener = Listener()
    let device = XIVEDevice(
      Configuration(sourceCount: 8, serverCount: 4), onRefusal: { listener.hear($0) })
    listener.device.withLock { $0 = device }
    for source in UInt32(0)..<4 {
      try device.createSource(LISN(rawValue: source), isLSI: source == 3)
    }
    try device.addPHB(Rig.phb(0), PHBShape(msiCount: 2, lsiCount: 0, supportsStoreEOI: false))
    try device.map(Rig.run(0, 0)).completion()

    let kvm = KVMRequest.set.rawValue
    let set = xive_set_attr_request
    let zeros = [UInt8](repeating: 0, count: 80)
    let lisn = { (number: UInt32) in LISN(rawValue: number) }
    let register = { (address: UInt64) in XIVE_REG_VP_STATE.memoryBytes + address.memoryBytes }
    let memory = FakeMemory()
    for number in Int32(20)...40 { memory.events[number] = FakeEvent(UInt64(number)) }
    memory.deviceDescriptors = [5]

    /// One request, and why it is refused; nil where its number says it, or nothing is wrong.
    let requests: [(UInt32, [UInt8], any Caller, DeviceError?, Refusal?)] = [
      (set, inline(XIVE_GROUP_MACHINE, 1, [3]), memory, nil, nil),
      (set, inline(XIVE_GROUP_MACHINE, 1, [2]), memory, .busy, .sizeIsSet("NR_SERVERS", 3)),
      (set, inline(1, 3, [4]), memory, .busy, .sizeIsSet("NR_SERVERS", 3)),
      (set, inline(XIVE_GROUP_MACHINE, 0, [2]), memory, .busy, .sourceBeyond(lisn(2))),
      (set, inline(XIVE_GROUP_MACHINE, 0, [6]), memory, nil, nil),
      (set, inline(XIVE_GROUP_MACHINE, 0, [7]), memory, .busy, .sizeIsSet("NR_SOURCES", 6)),
      (set, inline(XIVE_GROUP_MACHINE, 0, [0]), memory, .invalid, nil),
      (kvm, attribute(2, 1, 0x5000), Locked(), .badAddress, .unreachableMemory(of: "locked")),
      (kvm, attribute(2, 1, 0), Locked(), .badAddress, nil),
      (
        KVMRequest.get.rawValue, attribute(0x50, 0, 0x5000), Locked(), .badAddress,
        .unreachableMemory(of: "locked")
      ),
      (0x4010_aeac, register(0x5000), Locked(), .badAddress, .unreachableMemory(of: "locked")),
      (0x4010_aeac, register(0), Locked(), .badAddress, nil),
      (
        0x4068_aea3, u32(169, 0, 4, 0, 0, 0) + zeros, Locked(), .notPermitted,
        .untakenDescriptor(of: "locked")
      ),
      (
        set, inline(XIVE_GROUP_MEMORY, 0, [0, 0, 4_096, 0, 7, 0, 0, 0]), Locked(), .notPermitted,
        .untakenDescriptor(of: "locked")
      ),
      (
        0x4020_ae76, u32(7, 1, 0, 0, 0, 0, 0, 0), Locked(), .notPermitted,
        .untakenDescriptor(of: "locked")
      ),
      (0x4020_ae76, u32(20, 1, 0, 0, 0, 0, 0, 0), memory, nil, nil),
      (0x4020_ae76, u32(21, 3, 0, 0, 0, 0, 0, 0), memory, .invalid, .neverLowered(lisn(3))),
      (0x4020_ae76, u32(21, 1, 2, 22, 0, 0, 0, 0), memory, .invalid, .neverResampled(lisn(1))),
      (0x4020_ae76, u32(21, 5, 0, 0, 0, 0, 0, 0), memory, .invalid, .noSource(lisn(5))),
      (0x4008_ae61, u32(0, 1), memory, .invalid, .mappedToHardware(lisn(0))),
      (0xc008_ae67, u32(7, 1), memory, .invalid, .noSource(lisn(7))),
      (
        0x4020_aea5, u32(1, 0, 2, 0, 5, 0, 0, 0), memory, .invalid, .messageWithoutDevice
      ),
      (0x4020_aea5, u32(1, 0, 2, 1, 5, 0, 0, 0), memory, .notFound, nil),
    ]
    for (number, input, caller, error, refusal) in requests {
      var request = ControlRequest(
        number: number, input: input, outputByteCount: number >> 31 == 1 ? input.count : 0,
        opener: Rig.writer, caller: caller)
      var found: DeviceError?
      do { _ = try device.control(&request) } catch { found = error }
      #expect(found == error, "\(String(number, radix: 16)) \(input)")
      #expect(listener.take() == [refusal].compactMap { $0 }, "\(input)")
    }
    device.closed(Rig.writer)?.completion()
  }

  @Test("Each text says the error's name and what to do, in one line")
  func texts() {
    let lisn = LISN(rawValue: 0x1303)
    let refusals: [(Refusal, String)] = [
      (.unreachableMemory(of: "x"), "EFAULT"), (.untakenDescriptor(of: "x"), "EPERM"),
      (.neverLowered(lisn), "EINVAL"), (.neverResampled(lisn), "EINVAL"),
      (.noSource(lisn), "EINVAL"), (.mappedToHardware(lisn), "EINVAL"),
      (.messageWithoutDevice, "EINVAL"), (.sourceBeyond(lisn), "EBUSY"),
      (.sizeIsSet("NR_SOURCES", 7), "EBUSY"),
    ]
    for (refusal, error) in refusals {
      let text = refusal.description
      #expect(text.contains("(\(error)): ") && !text.contains("\n"), "\(text)")
    }
    #expect("\(Refusal.unreachableMemory(of: "x"))".contains("XIVE_SET_ATTR"))
  }
}
