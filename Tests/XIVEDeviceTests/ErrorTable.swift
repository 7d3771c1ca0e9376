import CXIVE
import Glibc

/// What each attribute answers, by literal values: the errors as a table.
///
/// The machine that it is about: 1,030 sources, of which 0 to 3 exist, 3 is an LSI and 0 is mapped to interrupt 0 of PHB
/// 0, which has 4 messages and behind them 2 levels; 4 servers, of which 0 and 1 have vCPUs and 0 a queue at priority 6;
/// 2 MiB of guest RAM in slot 0; the TIMA's address is set, the ESB window's is not; messages 0x40 and 0x41 of requester
/// 5 at 0xfee0 go to the sources 1 and 2. Descriptor 9 of the caller is memory of 64 KiB.
enum ErrorTable {
  /// A set or a get of some attributes of a group.
  struct Row: Sendable {
    let group: UInt32
    let attributes: [UInt64]
    /// The error that is found before the payload is looked at; 0: none.
    var early: Int32 = 0
    /// Bytes of the payload that are read.
    var reads = 0
    /// What they are.
    var value: [UInt8] = []
    /// The error that is found in them; 0: none.
    var late: Int32 = 0
    /// Bytes that a get writes.
    var writes = 0
  }

  /// Which attributes exist: the answers to `KVM_HAS_DEVICE_ATTR`.
  static let has: [(group: UInt32, present: [UInt64], absent: [UInt64])] = [
    (0x01, [1, 2, 3], [0, 4, high | 1, .max]),
    (0x02, [0, 3, 4, 1_023, 1_024, 1_029], [1_030, 1 << 20, high | 1, .max]),
    (0x03, [0, 3, 4, 1_023, 1_024, 1_029], [1_030, 1 << 20, high | 1, .max]),
    (0x04, [0, 7, 8, 31, 32, high - 1, high, .max], []),
    (0x05, [0, 3, 4, 1_023, 1_024, 1_029], [1_030, 1 << 20, high | 1, .max]),
    (0x40, [0, 1, 1_023], [1_024, 65_536, high, .max]),
    (0x41, [0, 4, 1_029], [1_030, high | 1, .max]),
    (
      0x42, [0, 5, 6, 65_535, high, 1_023 << 32 | 65_535],
      [65_536, 1_024 << 32, 65_536 << 32, .max]
    ),
    (0x43, [0, 5, high - 1], [high, high | 5, .max]),
    (0x44, [0, 1], [2, high, .max]),
    (0x45, [0, 1, 31], [32, high, .max]),
    (0x50, [0, 1, 2, 3, 4, 5], [6, high, .max]),
    (0x51, [0, 7, 31], [32, 1 << 28, high, .max]),
    (0x52, [0, 1, 2], [3, high, .max]),
    (0x53, [0, 1, 2, 3], [4, high, high | 1, .max]),
  ]

  /// Sets.
  static let sets: [Row] = control + sources + queues + hardware + messages + setUp + state

  private static let control: [Row] = [
    Row(group: 1, attributes: [0, 4, high | 1, .max], early: ENXIO),
    Row(group: 1, attributes: [1, 2]),
    Row(group: 1, attributes: [3], reads: 4, value: u32(0), late: EINVAL),
    Row(group: 1, attributes: [3], reads: 4, value: u32(16_385), late: EINVAL),
    Row(group: 1, attributes: [3], reads: 4, value: u32(4), late: EBUSY),
  ]

  private static let sources: [Row] = [
    Row(group: 2, attributes: [0, 3, 4, 1_023, 1_024, 1_029], reads: 8, value: u64(0)),
    Row(group: 2, attributes: [4, 1_024], reads: 8, value: u64(.max)),
    Row(group: 2, attributes: [1_030, 1 << 20, high | 1, .max], early: E2BIG),
    Row(group: 3, attributes: [1_024, 1_029, 1_030, 1 << 20, high | 1, .max], early: ENOENT),
    Row(group: 3, attributes: [4, 1_023], early: EINVAL),
    Row(group: 3, attributes: [0, 1, 3], reads: 8, value: u64(0x10_0000_0006)),
    Row(group: 3, attributes: [1], reads: 8, value: u64(0x1_0000_0006)),
    Row(group: 3, attributes: [1], reads: 8, value: u64(0x1_ffff_fff6)),
    Row(group: 3, attributes: [1], reads: 8, value: u64(0x1_0000_0007), late: EINVAL),
    Row(group: 3, attributes: [0, 1, 3], reads: 8, value: u64(7), late: EINVAL),
    Row(group: 3, attributes: [1], reads: 8, value: u64(2 << 3 | 5), late: EINVAL),
    Row(group: 3, attributes: [1], reads: 8, value: u64(4 << 3 | 5), late: EINVAL),
    Row(group: 3, attributes: [1], reads: 8, value: u64(0xffff_fffe), late: EINVAL),
    Row(group: 3, attributes: [1], reads: 8, value: u64(1 << 3 | 5), late: EBUSY),
    Row(group: 5, attributes: [1_024, 1_029, 1_030, 1 << 20, high | 1, .max], early: ENOENT),
    Row(group: 5, attributes: [4, 1_023], early: EINVAL),
    Row(group: 5, attributes: [0, 1, 3]),
  ]

  private static let queues: [Row] = [
    Row(group: 4, attributes: [6, 8, 14, high | 6], reads: 64, value: eq()),
    // Of no server; then of no priority; then of a queue that cannot be.
    Row(group: 4, attributes: [22, 23, 38, 0xffff_fffe], reads: 64, value: eq(1), late: ENOENT),
    Row(group: 4, attributes: [7, 15, high | 7], reads: 64, value: eq(1), late: EINVAL),
    Row(group: 4, attributes: [7], reads: 64, value: eq(0, shift: 0), late: EINVAL),
    Row(group: 4, attributes: [6, 8], reads: 64, value: eq(0, shift: 0, at: 5, 9, 9)),
    Row(group: 4, attributes: [6, 8], reads: 64, value: eq(0), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(3), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(shift: 12), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(shift: 24), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(at: ram + 4_096), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(at: ram + 0x20_0000), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(at: ram - 0x1_0000), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(at: ram, 2), late: EINVAL),
    Row(group: 4, attributes: [6], reads: 64, value: eq(at: ram, 1, 16_384), late: EINVAL),
    Row(group: 0x51, attributes: [32, 1 << 28, high, .max], early: E2BIG),
    Row(group: 0x51, attributes: [0, 7, 31], reads: 32, value: zeros(32)),
    // Format 1; a group of vCPUs; a queue that is not in memory.
    Row(group: 0x51, attributes: [7], reads: 32, value: end(1 << 31, 1 << 23), late: EINVAL),
    Row(group: 0x51, attributes: [7], reads: 32, value: end(1 << 31, 0, 1 << 31), late: EINVAL),
    Row(group: 0x51, attributes: [7], reads: 32, value: end(0xc000_0000), late: EINVAL),
  ]

  private static let hardware: [Row] = [
    Row(group: 0x40, attributes: [1_024, 65_536, high, .max], early: ENXIO),
    Row(group: 0x40, attributes: [1, 1_023], reads: 16, value: u32(65_535, 1, 1, 0)),
    Row(group: 0x40, attributes: [0, 1], reads: 16, value: u32(1, 0, 2, 0), late: EINVAL),
    Row(group: 0x40, attributes: [0, 1], reads: 16, value: u32(1, 0, 0, 1), late: EINVAL),
    Row(group: 0x40, attributes: [0, 1], reads: 16, value: u32(0, 0, 1, 0), late: EINVAL),
    Row(group: 0x40, attributes: [0, 1], reads: 16, value: u32(65_536, 1, 0, 0), late: E2BIG),
    Row(group: 0x40, attributes: [0, 1], reads: 16, value: u32(.max, .max, 0, 0), late: E2BIG),
    Row(group: 0x40, attributes: [0], reads: 16, value: u32(1, 0, 0, 0), late: EEXIST),
    Row(group: 0x40, attributes: [0], reads: 16, value: zeros(16)),
    Row(group: 0x40, attributes: [1, 1_023], reads: 16, value: zeros(16), late: ENOENT),
    // PHB, interrupt, count, flags.
    Row(group: 0x41, attributes: [1, 2], reads: 16, value: u32(0, 1, 1, 2)),
    Row(group: 0x41, attributes: [1, 1_030], reads: 16, value: u32(0, 1, 1, 4), late: EINVAL),
    Row(group: 0x41, attributes: [1_030, .max], reads: 16, value: u32(0, 1, 1, 0), late: E2BIG),
    Row(group: 0x41, attributes: [1_029], reads: 16, value: u32(0, 1, 2, 0), late: E2BIG),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(9, 1, .max, 0), late: E2BIG),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(1_024, 1, 1, 0), late: ENOENT),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(0, 65_536, 1, 0), late: ENOENT),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(9, 1, 0, 0), late: EINVAL),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(9, 1, 1, 0), late: ENOENT),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(0, 6, 1, 0), late: ENOENT),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(0, 5, 2, 0), late: ENOENT),
    Row(group: 0x41, attributes: [0, 4], reads: 16, value: u32(0, 1, 1, 0), late: EINVAL),
    Row(group: 0x41, attributes: [3], reads: 16, value: u32(0, 1, 2, 0), late: EINVAL),
    Row(group: 0x41, attributes: [1], reads: 16, value: u32(0, 0, 1, 0), late: EINVAL),
    Row(group: 0x41, attributes: [0], reads: 16, value: u32(0, 0, 1, 1)),
    Row(group: 0x41, attributes: [1, 4], reads: 16, value: u32(0, 0, 1, 1), late: ENOENT),
    Row(group: 0x41, attributes: [0], reads: 16, value: u32(0, 1, 1, 1), late: ENOENT),
    Row(group: 0x42, attributes: [65_536, 1_024 << 32, .max], early: ENOENT),
    // A message, a raised line, a fence and its end.
    Row(group: 0x42, attributes: [0, 3], reads: 8, value: u32(1, 0)),
    Row(group: 0x42, attributes: [4, 5], reads: 8, value: u32(2, 0)),
    Row(group: 0x42, attributes: [0], reads: 8, value: u32(4, 0)),
    Row(group: 0x42, attributes: [0], reads: 8, value: u32(5, 0)),
    Row(group: 0x42, attributes: [0, 6, high], reads: 8, value: u32(0, 0), late: EINVAL),
    Row(group: 0x42, attributes: [0, 6, high], reads: 8, value: u32(6, 0), late: EINVAL),
    Row(group: 0x42, attributes: [0, 6, high], reads: 8, value: u32(1, 1), late: EINVAL),
    Row(group: 0x42, attributes: [6, 65_535, high], reads: 8, value: u32(1, 0), late: ENOENT),
    Row(group: 0x42, attributes: [4], reads: 8, value: u32(1, 0), late: EINVAL),
    Row(group: 0x42, attributes: [3], reads: 8, value: u32(2, 0), late: EINVAL),
  ]

  // Address, then first data, count, first LISN, zero.
  private static let messages: [Row] = [
    Row(group: 0x43, attributes: [high, high | 5, .max], early: ENXIO),
    Row(group: 0x43, attributes: [6, high - 1], reads: 24, value: msi(0x40, 2, 1)),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x42, 1, 1)),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x3f, 1, 1)),
    Row(group: 0x43, attributes: [5, 6], reads: 24, value: msi(0x40, 1, 1, zero: 1), late: EINVAL),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(.max, 2, 4_000), late: EINVAL),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 1_030, 1), late: E2BIG),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 1, 1_030), late: E2BIG),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 1, .max), late: E2BIG),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 1, 4), late: EINVAL),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 2, 2), late: EINVAL),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 1, 1), late: EEXIST),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x3f, 2, 1), late: EEXIST),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x41, 2, 1), late: EEXIST),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x40, 0, 0)),
    Row(group: 0x43, attributes: [5], reads: 24, value: msi(0x41, 0, 0), late: ENOENT),
    Row(group: 0x43, attributes: [6], reads: 24, value: msi(0x40, 0, 0), late: ENOENT),
  ]

  private static let setUp: [Row] = [
    Row(group: 0x44, attributes: [2, high, .max], early: ENXIO),
    Row(group: 0x44, attributes: [0, 1], reads: 8, value: u64(0x1001), late: EINVAL),
    Row(group: 0x44, attributes: [0], reads: 8, value: u64(0 &- 0x3000), late: EINVAL),
    Row(group: 0x44, attributes: [0], reads: 8, value: u64(0x5000), late: EEXIST),
    Row(group: 0x44, attributes: [1], reads: 8, value: u64(0x5000), late: EBUSY),
    Row(group: 0x45, attributes: [32, high, .max], early: ENXIO),
    // Address, size, descriptor and zero, offset.
    Row(group: 0x45, attributes: [1, 31], reads: 32, value: u64(0, 65_536, 9, 0)),
    Row(
      group: 0x45, attributes: [0, 1], reads: 32, value: u64(0, 65_536, high | 9, 0), late: EINVAL),
    Row(group: 0x45, attributes: [0], reads: 32, value: zeros(32)),
    Row(group: 0x45, attributes: [1, 31], reads: 32, value: zeros(32), late: ENOENT),
    Row(group: 0x45, attributes: [0, 1], reads: 32, value: u64(1, 65_536, 9, 0), late: EINVAL),
    Row(group: 0x45, attributes: [0, 1], reads: 32, value: u64(0, 65_535, 9, 0), late: EINVAL),
    Row(group: 0x45, attributes: [0, 1], reads: 32, value: u64(0, 65_536, 9, 1), late: EINVAL),
    Row(group: 0x45, attributes: [1], reads: 32, value: u64(1 << 60, 4_096, 9, 0), late: EINVAL),
    Row(group: 0x45, attributes: [1], reads: 32, value: u64(0, 1 << 44, 9, 0), late: ENOMEM),
    Row(group: 0x45, attributes: [0, 1], reads: 32, value: u64(0, 65_536, 8, 0), late: EBADF),
    Row(group: 0x45, attributes: [0], reads: 32, value: u64(0, 65_536, 9, 0), late: EEXIST),
    Row(group: 0x45, attributes: [1], reads: 32, value: u64(ram, 65_536, 9, 0), late: EEXIST),
    Row(group: 0x50, attributes: [0, 1, 2, 3, 4, 5, 6, high, .max], early: ENXIO),
  ]

  private static let state: [Row] = [
    Row(group: 0x52, attributes: [3, high, .max], early: ENXIO),
    Row(group: 0x52, attributes: [0], reads: 4, value: u32(1_030)),
    Row(group: 0x52, attributes: [0], reads: 4, value: u32(4)),
    Row(group: 0x52, attributes: [0, 1], reads: 4, value: u32(0), late: EINVAL),
    Row(group: 0x52, attributes: [0], reads: 4, value: u32(1_031), late: E2BIG),
    Row(group: 0x52, attributes: [0], reads: 4, value: u32(.max), late: E2BIG),
    // Source 3 exists.
    Row(group: 0x52, attributes: [0], reads: 4, value: u32(3), late: EBUSY),
    Row(group: 0x52, attributes: [1], reads: 4, value: u32(16_385), late: EINVAL),
    Row(group: 0x52, attributes: [1], reads: 4, value: u32(4), late: EBUSY),
    Row(group: 0x52, attributes: [2], reads: 4, value: u32(0)),
    Row(group: 0x52, attributes: [2], reads: 4, value: u32(1)),
    Row(group: 0x52, attributes: [2], reads: 4, value: u32(2), late: EINVAL),
    Row(group: 0x53, attributes: [4, high, high | 1, .max], early: ENXIO),
    Row(group: 0x53, attributes: [0, 1, 3], reads: 24, value: zeros(24)),
    Row(group: 0x53, attributes: [0, 3], reads: 24, value: u64(0, 1, 0), late: EINVAL),
    Row(group: 0x53, attributes: [0, 3], reads: 24, value: u64(0, 0, 1), late: EINVAL),
    Row(group: 0x53, attributes: [0, 3], reads: 24, value: u64(0, 0, high), late: EINVAL),
  ]

  /// Gets.
  static let gets: [Row] = [
    Row(group: 1, attributes: [0, 1, 2, 3, 4, .max], early: ENXIO),
    Row(group: 2, attributes: [0, 1_030, .max], early: ENXIO),
    Row(group: 3, attributes: [0, 1_030, .max], early: ENXIO),
    Row(group: 5, attributes: [0, 1_030, .max], early: ENXIO),
    Row(group: 4, attributes: [6, high | 6], writes: 64),
    // No queue: nothing is written.
    Row(group: 4, attributes: [0, 5, 8, 14]),
    Row(group: 4, attributes: [16, 22, 23, 38, 0xffff_fffe], early: ENOENT),
    Row(group: 4, attributes: [7, 15], early: EINVAL),
    Row(group: 0x40, attributes: [0], writes: 16),
    Row(group: 0x40, attributes: [1, 1_023], early: ENOENT),
    Row(group: 0x40, attributes: [1_024, .max], early: ENXIO),
    Row(group: 0x41, attributes: [0, 1], writes: 24),
    Row(group: 0x41, attributes: [4, 1_029], early: EINVAL),
    Row(group: 0x41, attributes: [1_030, high | 1, .max], early: E2BIG),
    Row(group: 0x42, attributes: [0, 5], writes: 8),
    Row(group: 0x42, attributes: [6, 65_535, 65_536, high, 1_024 << 32, .max], early: ENOENT),
    Row(group: 0x43, attributes: [5], reads: 16, value: u64(0xfee0, 0x40), writes: 16),
    Row(group: 0x43, attributes: [5], reads: 16, value: u64(0xfee0, 0x41), writes: 16),
    Row(group: 0x43, attributes: [5, 6], reads: 16, value: u64(0xfee0, high | 0x40), late: EINVAL),
    Row(group: 0x43, attributes: [5], reads: 16, value: u64(0xfee0, 0x3f), late: ENOENT),
    Row(group: 0x43, attributes: [5], reads: 16, value: u64(0xfee0, 0x42), late: ENOENT),
    Row(group: 0x43, attributes: [5], reads: 16, value: u64(0xfee1, 0x40), late: ENOENT),
    Row(group: 0x43, attributes: [6, high - 1], reads: 16, value: u64(0xfee0, 0x40), late: ENOENT),
    Row(group: 0x43, attributes: [high | 5, .max], early: ENXIO),
    Row(group: 0x44, attributes: [0], writes: 8),
    Row(group: 0x44, attributes: [1, 2, .max], early: ENXIO),
    Row(group: 0x45, attributes: [0], writes: 32),
    Row(group: 0x45, attributes: [1, 31], early: ENOENT),
    Row(group: 0x45, attributes: [32, .max], early: ENXIO),
    Row(group: 0x50, attributes: [0], writes: 32),
    Row(group: 0x50, attributes: [1, 2, 3, 4, 5], writes: 112),
    Row(group: 0x50, attributes: [6, high, .max], early: ENXIO),
    Row(group: 0x51, attributes: [0, 6, 31], writes: 32),
    Row(group: 0x51, attributes: [32, 1 << 28, high, .max], early: E2BIG),
    Row(group: 0x52, attributes: [0, 1, 2], writes: 4),
    Row(group: 0x52, attributes: [3, high, .max], early: ENXIO),
    Row(group: 0x53, attributes: [0, 3], writes: 24),
    Row(group: 0x53, attributes: [4, high | 1, .max], early: ENXIO),
  ]
}

// MARK: - Values

private let high: UInt64 = 1 << 32
private let ram: UInt64 = 1 << 32

private func zeros(_ count: Int) -> [UInt8] { .init(repeating: 0, count: count) }

private func u32(_ words: UInt32...) -> [UInt8] { words.flatMap(\.memoryBytes) }

private func u64(_ words: UInt64...) -> [UInt8] { words.flatMap(\.memoryBytes) }

private func eq(
  _ flags: UInt32 = 1, shift: UInt32 = 16, at address: UInt64 = ram, _ toggle: UInt32 = 1,
  _ index: UInt32 = 0
) -> [UInt8] {
  u32(flags, shift) + u64(address) + u32(toggle, index) + zeros(40)
}

private func end(_ w0: UInt32, _ w6: UInt32 = 0, _ w7: UInt32 = 0) -> [UInt8] {
  u32(w0) + zeros(20) + u32(w6, w7)
}

private func msi(_ data: UInt32, _ count: UInt32, _ lisn: UInt32, zero: UInt32 = 0) -> [UInt8] {
  u64(0xfee0) + u32(data, count, lisn, zero)
}
