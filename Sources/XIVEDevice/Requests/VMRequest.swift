/// What the device answers of the requests that KVM takes on descriptors of virtual machines and of vCPUs.
///
/// The numbers have direction and size in them, which `_IOW` hides from Swift.
/// Source: Linux `include/uapi/linux/kvm.h`, the constants of the cases' names.
enum VMRequest: UInt32, CaseIterable {
  /// `KVM_CHECK_EXTENSION`.
  case checkExtension = 0xae03
  /// `KVM_IRQ_LINE`.
  case irqLine = 0x4008_ae61
  /// `KVM_IRQ_LINE_STATUS`.
  case irqLineStatus = 0xc008_ae67
  /// `KVM_IRQFD`.
  case irqfd = 0x4020_ae76
  /// `KVM_ENABLE_CAP`.
  case enableCapability = 0x4068_aea3
  /// `KVM_SIGNAL_MSI`.
  case signalMSI = 0x4020_aea5
  /// `KVM_GET_ONE_REG`.
  case getOneRegister = 0x4010_aeab
  /// `KVM_SET_ONE_REG`.
  case setOneRegister = 0x4010_aeac

  /// Bytes of the structure that comes with it.
  var inputByteCount: Int { Int(rawValue >> 16 & 0x3fff) }

  /// Whether it changes something, and so needs a descriptor that is open for writing.
  var hasEffect: Bool { self != .checkExtension && self != .getOneRegister }

  /// Whether it is handled without waiting and without the caller's memory.
  var isPrompt: Bool { self == .irqLine || self == .irqLineStatus || self == .signalMSI }
}
