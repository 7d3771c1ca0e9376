/// What an instruction does to its operand in memory, for the instructions that are certain.
///
/// Where no tracepoint tells, the instruction does. What both loads and stores, at two addresses or at one of two
/// that cannot be told apart, is nil, and so are all instructions that are not in the tables. A read-modify-write
/// faults as a store.
/// Source: Intel SDM volume 2, chapters 2 and 3, appendix A.
enum InstructionAccess {
  /// The longest instruction, in bytes.
  static let longest = 15

  private static let prefixes: Set<UInt8> = [
    0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
  ]
  /// mov, movsxd, test and what takes a register and memory into the register.
  private static let loads: Set<UInt8> = [
    0x8a, 0x8b, 0x63, 0x84, 0x85, 0x02, 0x03, 0x0a, 0x0b, 0x12, 0x13, 0x1a, 0x1b, 0x22, 0x23, 0x2a,
    0x2b, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b,
  ]
  /// mov, stos, xchg and what takes a register and memory into memory.
  private static let stores: Set<UInt8> = [
    0x88, 0x89, 0xc6, 0xc7, 0xaa, 0xab, 0x86, 0x87, 0x00, 0x01, 0x08, 0x09, 0x10, 0x11, 0x18, 0x19,
    0x20, 0x21, 0x28, 0x29, 0x30, 0x31,
  ]
  /// Behind 0f: vector loads, cmov, movzx and movsx.
  private static let longLoads: Set<UInt8> = [
    0x10, 0x28, 0x6f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c,
    0x4d, 0x4e, 0x4f, 0xb6, 0xb7, 0xbe, 0xbf,
  ]
  /// Behind 0f: vector stores, cmpxchg, xadd.
  private static let longStores: Set<UInt8> = [
    0x11, 0x29, 0x2b, 0x7f, 0xe7, 0xb0, 0xb1, 0xc0, 0xc1,
  ]

  /// Reads an instruction.
  /// - Parameter bytes: from its first byte on.
  /// - Returns: load or store; nil when it is not certain.
  static func access(of bytes: [UInt8]) -> KernelFault.Access? {
    #if arch(x86_64)
    var rest = bytes.drop { prefixes.contains($0) }
    // REX stands right in front of the operation.
    if let rex = rest.first, rex & 0xf0 == 0x40 { rest = rest.dropFirst() }
    guard let operation = rest.popFirst() else { return nil }
    switch operation {
    case 0x0f: return long(rest)
    case 0x80, 0x81, 0x83: return extended(rest, loads: [7])
    case 0xf6, 0xf7: return extended(rest, loads: [0, 1, 4, 5, 6, 7])
    default: return word(operation, loads, stores)
    }
    #else
    return nil
    #endif
  }

  private static func long(_ bytes: ArraySlice<UInt8>) -> KernelFault.Access? {
    guard let operation = bytes.first else { return nil }
    // movbe; its store shares a number with crc32, which loads, but for a prefix.
    if operation == 0x38 { return bytes.dropFirst().first == 0xf0 ? .read : nil }
    return word(operation, longLoads, longStores)
  }

  /// What the middle three bits of the byte behind an operation tell apart.
  private static func extended(_ bytes: ArraySlice<UInt8>, loads: Set<UInt8>) -> KernelFault.Access?
  {
    guard let modes = bytes.first else { return nil }
    return loads.contains(modes >> 3 & 7) ? .read : .write
  }

  private static func word(_ operation: UInt8, _ loads: Set<UInt8>, _ stores: Set<UInt8>)
    -> KernelFault.Access?
  {
    if loads.contains(operation) { return .read }
    return stores.contains(operation) ? .write : nil
  }
}
