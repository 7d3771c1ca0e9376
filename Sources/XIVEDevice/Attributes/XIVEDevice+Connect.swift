internal import CXIVE
internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// KVM's request number; the structure's size is in it.
  ///
  /// Source: Linux `include/uapi/linux/kvm.h`, `KVM_ENABLE_CAP`.
  static let enableCapability: UInt32 = 0x4068_aea3

  /// Performs `KVM_ENABLE_CAP`: connects the descriptor to a vCPU.
  ///
  /// Source: Linux `arch/powerpc/kvm/powerpc.c`, `kvm_vcpu_ioctl_enable_cap`, `KVM_CAP_PPC_IRQ_XIVE`. Differs: the
  /// descriptor is one of the device's file, of which the first argument names any.
  func enableCapability(_ request: inout ControlRequest) throws(DeviceError) {
    guard request.opener.isWritable else { throw .badDescriptor }
    let capability: UInt32 = request.input.value(at: 0)
    let flags: UInt32 = request.input.value(at: 4)
    let descriptor: UInt64 = request.input.value(at: 8)
    let server: UInt64 = request.input.value(at: 16)
    guard capability == Self.interruptCapability, flags == 0 else { throw .invalid }
    guard let number = Int32(exactly: descriptor) else { throw .badDescriptor }
    guard try request.caller.isDevice(number) else { throw .notPermitted }
    // No number above 32 bits is a server's: refused with the others, after what comes first.
    request.invalidation = try connect(
      request.opener, to: Server(rawValue: UInt32(clamping: server)))
  }

  /// Source: Linux `include/uapi/linux/kvm.h`, `KVM_CAP_PPC_IRQ_XIVE`.
  private static let interruptCapability: UInt32 = 169
}
