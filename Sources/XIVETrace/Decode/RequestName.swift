internal import TraceRecords

/// The name of what was asked for: `set SOURCE 0x11`, `get INFO 1`, `KVM_IRQFD`.
struct RequestName: CustomStringConvertible {
  let description: String

  init(_ record: TraceRecord) {
    guard record.half < Self.verbs.count else {
      description = Self.requests[record.generation & 0xffff] ?? Self.hex(record.generation)
      return
    }
    let group = Self.groups[record.generation] ?? "group \(Self.hex(record.generation))"
    // The one number that no attribute has means that a record has none.
    let attribute = Self.hex(record.offset ?? .max)
    description = "\(Self.verbs[Int(record.half)]) \(group) \(attribute)"
  }

  private static func hex(_ number: some BinaryInteger) -> String {
    "0x" + String(number, radix: 16)
  }

  private static let verbs = ["set", "get", "has"]

  /// Source: `xive.h`, `KVM_DEV_XIVE_GRP_*` and `XIVE_GROUP_*`.
  private static let groups: [UInt32: String] = [
    1: "CTRL", 2: "SOURCE", 3: "SOURCE_CONFIG", 4: "EQ_CONFIG", 5: "SOURCE_SYNC", 0x40: "PHB",
    0x41: "PASSTHROUGH", 0x42: "HWIRQ", 0x43: "MSI", 0x44: "ADDRESS", 0x45: "MEMORY",
    0x46: "TABLES", 0x50: "INFO", 0x51: "END", 0x52: "MACHINE", 0x53: "VP",
  ]

  /// By type and number; the other half, size and direction, is not the same on all architectures.
  /// Source: Linux `include/uapi/linux/kvm.h`.
  private static let requests: [UInt32: String] = [
    0xae03: "KVM_CHECK_EXTENSION", 0xae61: "KVM_IRQ_LINE", 0xae67: "KVM_IRQ_LINE_STATUS",
    0xae76: "KVM_IRQFD", 0xaea3: "KVM_ENABLE_CAP", 0xaea5: "KVM_SIGNAL_MSI",
    0xaeab: "KVM_GET_ONE_REG", 0xaeac: "KVM_SET_ONE_REG",
  ]
}

/// What guests do wrong: by the place in `struct xive_info_guest_errors`, with the names of `xive map --json`.
struct GuestErrorName: Hashable {
  /// What a record's number is.
  enum Object: String {
    case page = "page"
    case source = "LISN"
    case end = "END"
    case nvt = "NVT"
    case vcpu = "vCPU"
  }

  let name: String
  let object: Object

  private static let all: [GuestErrorName] = [
    .init(name: "absentPage", object: .page), .init(name: "esbOperation", object: .page),
    .init(name: "endStore", object: .end), .init(name: "timaAccess", object: .vcpu),
    .init(name: "timaStore", object: .vcpu), .init(name: "easInvalid", object: .source),
    .init(name: "endInvalid", object: .end), .init(name: "nvtInvalid", object: .nvt),
    .init(name: "camDuplicate", object: .nvt), .init(name: "escalationLoop", object: .end),
    .init(name: "context", object: .vcpu), .init(name: "image", object: .page),
  ]

  private init(name: String, object: Object) {
    self.name = name
    self.object = object
  }

  /// The name of a place in the structure; nil beyond its end.
  init?(_ place: UInt64) {
    guard place < Self.all.count else { return nil }
    self = Self.all[Int(place)]
  }

  /// What an error without an offset happened to.
  static func object(of record: TraceRecord) -> String {
    guard let number = record.number, let error = GuestErrorName(record.value) else { return "-" }
    let words = error.object == .vcpu ? "\(number)" : "0x" + String(number, radix: 16)
    return "\(error.object.rawValue) \(words)"
  }
}

/// Names of error numbers. Source: Linux `include/uapi/asm-generic/errno-base.h`, `errno.h`.
enum ErrorNumber {
  private static let names: [Int32: String] = [
    1: "EPERM", 2: "ENOENT", 3: "ESRCH", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF",
    11: "EAGAIN", 12: "ENOMEM", 13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST",
    19: "ENODEV", 22: "EINVAL", 23: "ENFILE", 24: "EMFILE", 25: "ENOTTY", 27: "EFBIG",
    28: "ENOSPC", 29: "ESPIPE", 30: "EROFS", 34: "ERANGE", 38: "ENOSYS", 61: "ENODATA",
    75: "EOVERFLOW", 95: "EOPNOTSUPP", 107: "ENOTCONN", 110: "ETIMEDOUT", 125: "ECANCELED",
  ]

  static func name(_ number: Int32) -> String { names[number] ?? "errno \(number)" }

  static func number(_ name: String) -> Int32? {
    names.first { $0.value == name.uppercased() }?.key
  }
}
