import CXIVE
import Glibc
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// How a payload gets to the device, or does not.
private enum Form: CaseIterable {
  /// Inline, whole; with a byte behind it, or at the very end.
  case inline, inlineJunk, inlineJunkAtEnd
  /// Behind a pointer that is good, 0, of nothing, of one byte less than is needed, of what cannot be written.
  case pointer, null, unreadable, short, unwritable

  var isInline: Bool { self == .inline || self == .inlineJunk || self == .inlineJunkAtEnd }
}

@Suite("Every attribute, however it is asked for: errors as in the table")
struct ErrorMatrixTests {
  /// The machine that the table is about.
  private static func machine() throws -> Machine {
    let rig = try Rig.withPHB(sources: 1_030, existing: 3)
    rig.create(3, isLSI: true)
    try rig.set(XIVE_GROUP_ADDRESS, 0, 0x1_0000 as UInt64)
    let machine = try Machine(rig, cpus: 2, priorities: [])
    try machine.setQueue(0, 6)
    try rig.map(0, to: 0)
    try rig.set(
      XIVE_GROUP_MSI, 5,
      xive_msi(address: 0xfee0, first_data: 0x40, count: 2, first_lisn: 1, zero: 0))
    return machine
  }

  private static let openers = [Rig.writer, Rig.reader]
  private static let shared = SharedBytes(byteCount: 65_536)

  /// Asks, and gives the error's number, 0 for none, and what was done to the caller's memory.
  private func ask(
    _ rig: Rig, _ verb: KVMRequest, _ row: ErrorTable.Row, _ attribute: UInt64, _ form: Form,
    by opener: Opener
  ) -> (Int32, [FakeMemory.Access]) {
    let address: UInt64 = form == .null ? 0 : 0x7000
    let isThere = form == .pointer || form == .unwritable
    let readable = isThere ? row.value : form == .short ? Array(row.value.dropLast()) : nil
    let memory = FakeMemory(
      readable.map { [address: $0] } ?? [:], isWritable: form == .pointer || form == .short)
    memory.shared[9] = Self.shared
    let header = UInt32(0).memoryBytes + row.group.memoryBytes + attribute.memoryBytes
    var data = row.value + [UInt8](repeating: 0, count: 112 - row.value.count)
    if form == .inlineJunk, row.reads < data.count { data[row.reads] = 1 }
    if form == .inlineJunkAtEnd { data[111] = 1 }
    let number =
      !form.isInline
      ? verb.rawValue : verb == .set ? xive_set_attr_request : xive_get_attr_request
    var request = ControlRequest(
      number: number, input: header + (form.isInline ? data : address.memoryBytes),
      outputByteCount: form.isInline ? 128 : 0, opener: opener, caller: memory)
    do {
      let result = try rig.device.control(&request)
      request.invalidation?.completion()
      return (result, memory.accesses)
    } catch {
      return (error.rawValue, memory.accesses)
    }
  }

  /// What the table says.
  private func expected(_ row: ErrorTable.Row, _ form: Form) -> Int32 {
    if row.early != 0 { return row.early }
    if row.reads > 0 {
      switch form {
      case .null, .unreadable, .short: return EFAULT
      case .inlineJunk, .inlineJunkAtEnd: return EINVAL
      case .inline, .pointer, .unwritable: break
      }
    }
    if row.late != 0 { return row.late }
    let isWritten = form != .null && form != .unreadable && form != .unwritable
    return row.writes > 0 && !isWritten ? EFAULT : 0
  }

  private func check(_ verb: KVMRequest, _ row: ErrorTable.Row) throws {
    var machine: Machine?
    for attribute in row.attributes {
      for opener in Self.openers {
        for form in Form.allCases {
          let current = try machine ?? Self.machine()
          let before = DeliverySnapshot(current.rig)
          let (error, accesses) = ask(current.rig, verb, row, attribute, form, by: opener)
          let isReadOnly = verb == .set && !opener.isWritable
          let right = isReadOnly ? EBADF : expected(row, form)
          let what: Comment =
            "\(verb) group \(row.group), \(attribute), \(row.value), \(form), \(opener.isWritable)"
          #expect(error == right, what)
          if right != 0 { #expect(DeliverySnapshot(current.rig) == before, what) }
          if isReadOnly || row.early != 0 || form.isInline {
            #expect(accesses.isEmpty, what)
          } else if right == 0 {
            let counts = accesses.map { access in
              switch access {
              case .read(_, let count): count
              case .write(_, let bytes): -bytes.count
              }
            }
            #expect(counts == [row.reads, -row.writes].filter { $0 != 0 }, what)
          }
          // What has been done may change what comes next.
          machine = right == 0 && verb == .set ? nil : current
        }
      }
    }
  }

  @Test("Sets", arguments: ErrorTable.sets)
  func sets(row: ErrorTable.Row) throws { try check(.set, row) }

  @Test("Gets", arguments: ErrorTable.gets)
  func gets(row: ErrorTable.Row) throws { try check(.get, row) }

  @Test("A7: which attributes exist, whoever asks, with any pointer")
  func has() throws {
    let rig = try Self.machine().rig
    let before = DeliverySnapshot(rig)
    for (group, present, absent) in ErrorTable.has {
      for attribute in present + absent {
        for opener in Self.openers {
          for form in Form.allCases where !form.isInline {
            let row = ErrorTable.Row(group: group, attributes: [])
            let (error, accesses) = ask(rig, .has, row, attribute, form, by: opener)
            #expect(
              error == (present.contains(attribute) ? 0 : ENXIO), "group \(group), \(attribute)")
            #expect(accesses.isEmpty)
          }
        }
      }
    }
    #expect(DeliverySnapshot(rig) == before)
  }

  @Test("A20: any other group is ENXIO, whatever is asked of it", arguments: UInt32(0)...0x60)
  func unknownGroups(group: UInt32) throws {
    guard !ErrorTable.has.contains(where: { $0.group == group }) else {
      #expect(ErrorTable.gets.contains { $0.group == group }, "the table has it")
      return #expect(ErrorTable.sets.contains { $0.group == group }, "the table has it")
    }
    let rig = try Self.machine().rig
    let before = DeliverySnapshot(rig)
    let row = ErrorTable.Row(group: group, attributes: [])
    for attribute: UInt64 in [0, 1, 3, 1 << 32, .max] {
      for opener in Self.openers {
        for form in Form.allCases {
          for verb in KVMRequest.allCases where verb != .has || !form.isInline {
            let (error, accesses) = ask(rig, verb, row, attribute, form, by: opener)
            #expect(error == ENXIO && accesses.isEmpty, "\(verb) \(attribute)")
          }
        }
      }
    }
    #expect(DeliverySnapshot(rig) == before)
  }
}
