/// KVM's own requests that the device answers: their numbers and their payloads.
///
/// Source: Linux `include/uapi/linux/kvm.h`, the same names.
enum KVMRequest {
  static let irqfd: UInt32 = 0x4020_ae76
  static let irqLineStatus: UInt32 = 0xc008_ae67
  static let signalMSI: UInt32 = 0x4020_aea5

  /// A payload of words, and of zeros behind them.
  static func bytes<Word: BitwiseCopyable>(_ words: [Word], byteCount: Int = 0) -> [UInt8] {
    let bytes = unsafe words.withUnsafeBytes { unsafe [UInt8]($0) }
    return bytes + [UInt8](repeating: 0, count: max(0, byteCount - bytes.count))
  }
}
