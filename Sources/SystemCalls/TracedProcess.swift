internal import CSystemCalls
internal import Glibc

/// What can be learned of another process without waiting for it.
public struct TracedProcess: Sendable {
  /// Its number, as this process sees it.
  public let id: Int32

  /// Names a process; whether it exists is found out when it is asked for something.
  public init(id: Int32) { self.id = id }

  /// The numbers of its threads, ascending; none when there is no such process.
  ///
  /// Source: proc_pid_task(5).
  public var threads: [Int32] {
    guard let directory = unsafe opendir("/proc/\(id)/task") else { return [] }
    defer { unsafe closedir(directory) }
    var numbers: [Int32] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 1) { unsafe String(cString: $0) }
      }
      if let number = Int32(name) { numbers.append(number) }
    }
    return numbers.sorted()
  }

  /// The user whose rights it has; nil when there is no such process.
  ///
  /// Source: proc_pid_status(5), the effective user of `Uid`.
  public var userID: UInt32? {
    let lines = TextFile.contents(of: "/proc/\(id)/status").split(separator: "\n")
    let words = lines.first { $0.hasPrefix("Uid:") }?.split(separator: "\t")
    return words.flatMap { $0.count > 2 ? UInt32($0[2]) : nil }
  }

  /// The text of its mappings. It may have to wait while the process changes them.
  public var maps: String { TextFile.contents(of: "/proc/\(id)/maps") }

  /// Reads its memory.
  /// - Parameters:
  ///   - address: where.
  ///   - byteCount: how many bytes at most.
  /// - Returns: what could be read, which may be nothing: memory that is not there, or no right to look.
  public func bytes(at address: UInt64, byteCount: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { bytes, count in
      count = max(0, unsafe csystem_read_process(id, bytes.baseAddress, byteCount, address))
    }
  }
}
