/// A file as the kernel names it in lists of mappings and in tracepoints.
public struct FileIdentity: Hashable, Sendable {
  /// The file system's device number, major.
  public let major: UInt32
  /// The file system's device number, minor.
  public let minor: UInt32
  /// The inode.
  public let inode: UInt64

  /// Names a file.
  public init(major: UInt32, minor: UInt32, inode: UInt64) {
    self.major = major
    self.minor = minor
    self.inode = inode
  }
}

/// A run of a process's memory that shows a file.
public struct ProcessMapping: Hashable, Sendable {
  /// The addresses.
  public let addresses: Range<UInt64>
  /// The byte offset in the file that the first address shows.
  public let offset: UInt64
  /// The file; inode 0 for memory of no file.
  public let file: FileIdentity
  /// The file's path, as the process saw it when it mapped it.
  public let path: String

  /// Describes a mapping.
  public init(addresses: Range<UInt64>, offset: UInt64, file: FileIdentity, path: String = "") {
    self.addresses = addresses
    self.offset = offset
    self.file = file
    self.path = path
  }

  /// Reads a line of `/proc/PID/maps`; nil for any other text.
  ///
  /// Source: proc_pid_maps(5): numbers are hexadecimal, the inode is decimal; a path may have spaces.
  public init?(mapsLine line: Substring) {
    let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
    guard words.count >= 5, words[1].count == 4 else { return nil }
    let ends = words[0].split(separator: "-").map { UInt64($0, radix: 16) }
    let numbers = words[3].split(separator: ":").map { UInt32($0, radix: 16) }
    guard ends.count == 2, let start = ends[0], let end = ends[1], start < end,
      numbers.count == 2, let major = numbers[0], let minor = numbers[1],
      let offset = UInt64(words[2], radix: 16), let inode = UInt64(words[4])
    else { return nil }
    self.init(
      addresses: start..<end, offset: offset,
      file: FileIdentity(major: major, minor: minor, inode: inode),
      path: words.count > 5 ? String(words[5].drop { $0 == " " }) : "")
  }

  /// The byte offset in the file that an address of the mapping shows.
  func fileOffset(at address: UInt64) -> UInt64 { offset &+ (address - addresses.lowerBound) }

  /// What is left of the mapping when other memory takes a range of addresses.
  func parts(outside range: Range<UInt64>) -> [ProcessMapping] {
    let ends = [
      (addresses.lowerBound, min(addresses.upperBound, range.lowerBound)),
      (max(addresses.lowerBound, range.upperBound), addresses.upperBound),
    ]
    return ends.filter { $0.0 < $0.1 }.map { start, end in
      ProcessMapping(
        addresses: start..<end, offset: fileOffset(at: start), file: file, path: path)
    }
  }
}
