import XIVEClient
import XIVETestSupport

/// Two machines of one guest: the one that it leaves, and the one that it goes to, with the same memory.
struct MachineMove: ~Copyable {
  static let options = ["--sources", "64", "--create", "0-31", "--create", "40-43:lsi"]

  let old: DeliveryRig
  let target: ServedDevice
  let device: XIVEDescriptor

  init(_ options: [String] = Self.options) throws {
    let old = try DeliveryRig(options)
    let target = try ServedDevice(options)
    let device = try XIVEDescriptor(target.path)
    try device.addMemory(old.memory, slot: 0, at: DeliveryRig.memoryAddress)
    self.old = old
    self.target = target
    self.device = device
  }
}
