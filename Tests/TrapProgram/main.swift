// A Swift program with trapped windows: TrapProgram CASE DEVICE
internal import DeviceClient
internal import Glibc
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// Offsets in a management page.
private enum Operation: Int {
  case endOfInterrupt = 0
  case get = 0x800
  case setPQ = 0xc00
}

/// A source's two pages, through plain pointers.
private struct Source: ~Copyable, Sendable {
  private let pages: MappedRegion
  private let half: Int

  init(_ device: borrowing XIVEDescriptor, _ lisn: UInt32) throws {
    pages = try device.mapSource(LISN(rawValue: lisn), access: .trapped)
    half = pages.byteCount / 2
  }

  func load(_ operation: Operation, _ more: Int = 0) -> UInt64 {
    let address = unsafe pages.address + half + operation.rawValue + more
    return unsafe address.load(as: UInt64.self).byteSwapped
  }

  /// Not `storeBytes(of:)`, which may be `memcpy`: two stores of the same 8 bytes, and so two triggers.
  func trigger() {
    let word = unsafe pages.address.assumingMemoryBound(to: UInt64.self)
    unsafe word.pointee = 0
  }
}

private struct Mismatch: Error, CustomStringConvertible {
  let description: String
}

private func expect(_ value: UInt64, _ wanted: UInt64, line: Int = #line) throws {
  if value != wanted { throw Mismatch(description: "line \(line): \(value), not \(wanted)") }
}

/// The operations of one source, in order.
private func operate(_ source: borrowing Source) throws {
  try expect(source.load(.setPQ, 0x100), 1)
  try expect(source.load(.setPQ), 1)
  try expect(source.load(.get), 0)
  source.trigger()
  try expect(source.load(.get), 2)
  source.trigger()
  try expect(source.load(.get), 3)
  try expect(source.load(.endOfInterrupt), 1)
  try expect(source.load(.get), 2)
  try expect(source.load(.endOfInterrupt), 0)
  try expect(source.load(.setPQ, 0x100), 0)
}

/// As many tasks as sources, each with windows of its own, all in the program's few threads.
private func operateInTasks(_ path: String) async throws {
  try await withThrowingTaskGroup(of: Void.self) { group in
    for lisn: UInt32 in 0..<16 {
      group.addTask {
        let device = try XIVEDescriptor(path)
        let source = try Source(device, lisn)
        for _ in 0..<20 {
          try operate(source)
          await Task.yield()
        }
      }
    }
    try await group.waitForAll()
  }
}

/// Has the program end as Swift programs do, which its runtime's own handler reports.
private func crash(_ path: String) throws -> Never {
  let device = try XIVEDescriptor(path)
  try operate(Source(device, 1))
  print("operated")
  fflush(nil)
  faultOnPurpose()
}

@inline(never)
private func faultOnPurpose() -> Never {
  let nowhere = unsafe UnsafeMutablePointer<Int>(bitPattern: 0x1000)
  unsafe nowhere?.pointee = 1
  exit(3)
}

do {
  let path = CommandLine.arguments[2]
  switch CommandLine.arguments[1] {
  case "tasks": try await operateInTasks(path)
  case "crash": try crash(path)
  default: exit(64)
  }
  print("all as expected")
} catch {
  print("\(error)")
  exit(1)
}
