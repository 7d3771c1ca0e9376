internal import CSystemCalls
internal import Glibc
internal import PagedDevice
internal import SystemCalls
internal import SystemPackage

/// The process of a thread that waits for the answer to its request.
///
/// The thread cannot end meanwhile, so that its number stays its own. Reading may fault on pages of the
/// device file itself, which another request thread then serves.
struct CallingProcess: Caller {
  /// The thread as this process sees it; 0 when it lives in a process namespace that cannot be seen.
  let threadID: Int32
  /// The number of the device's own file system; nil while it is not mounted.
  let mount: String?
  /// Who hears of the eventfds that it shares.
  let listener: EventListener

  func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    let count = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe csystem_read_process(threadID, bytes.baseAddress, byteCount, address)
    }
    guard threadID > 0, count == byteCount else { throw .badAddress }
    return bytes
  }

  func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError) {
    let count = unsafe bytes.withUnsafeBytes { bytes in
      unsafe csystem_write_process(threadID, bytes.baseAddress, bytes.count, address)
    }
    guard threadID > 0, count == bytes.count else { throw .badAddress }
  }

  func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
    -> any SharedMemory
  {
    guard threadID > 0 else { throw .notPermitted }
    let foreign = ForeignDescriptor(descriptor, ofThread: threadID)
    let copy: OwnedDescriptor
    do throws(Errno) {
      // Before the copy, as for eventfds: files in memory have a system of their own.
      guard try foreign.fileSystem() == Self.memorySystem() else { throw .invalidArgument }
      copy = try foreign.copy()
    } catch {
      throw error == .invalidArgument ? .invalid : Self.refusal(error)
    }
    return try CallersMemory(copy, offset: offset, byteCount: byteCount)
  }

  var name: String {
    guard threadID > 0 else { return "an unseen process" }
    // Not its command line: that is memory, of which a page may be one of the device's own.
    let lines = TextFile.contents(of: "/proc/\(threadID)/status").split(separator: "\n")
    guard let process = lines.first(where: { $0.hasPrefix("Tgid:\t") })?.dropFirst(6) else {
      return "thread \(threadID)"
    }
    let command = TextFile.contents(of: "/proc/\(process)/comm")
    // Its own choice, any bytes at all.
    let visible = command.dropLast().unicodeScalars.map { scalar in
      scalar.properties.generalCategory == .control ? "?" : String(scalar)
    }
    return "process \(process) (\(visible.joined()))"
  }

  func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent {
    guard threadID > 0 else { throw .notPermitted }
    let foreign = ForeignDescriptor(descriptor, ofThread: threadID)
    let copy: OwnedDescriptor
    do throws(Errno) {
      // By its name alone, for what else it could be asked takes locks that its owner may hold for ever. And before the
      // copy, which of the device's own file would delay its end, and of others' could wait for their servers when it is
      // closed. What the caller puts in its place in between is found out by a second look.
      guard try foreign.isEventfd() else { throw .invalidArgument }
      copy = try foreign.copy()
    } catch {
      throw error == .invalidArgument ? .invalid : Self.refusal(error)
    }
    return try CallersEvent(copy, listener)
  }

  func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool {
    guard threadID > 0 else { throw .notPermitted }
    // A copy would keep the file open, and its end from being told, for as long as this looks.
    do {
      return try ForeignDescriptor(descriptor, ofThread: threadID).fileSystem() == mount
    } catch { throw Self.refusal(error) }
  }

  /// The number of the file system that all files in memory lie in, but for those of huge pages.
  ///
  /// Source: Linux `mm/shmem.c`, `shm_mnt`.
  private static func memorySystem() throws(Errno) -> String {
    let own = try SealedMemory("xive", byteCount: 4_096)
    return try ForeignDescriptor(own.file.rawValue, ofThread: getpid()).fileSystem()
  }

  /// What the caller is told when its descriptor cannot be had.
  static func refusal(_ error: Errno) -> DeviceError {
    switch error {
    case .badFileDescriptor: .badDescriptor
    case .noMemory, .tooManyOpenFiles, .tooManyOpenFilesInSystem: .outOfMemory
    default: .notPermitted
    }
  }
}

/// A part of a file in memory that a caller shares, mapped for as long as somebody holds it.
private final class CallersMemory: SharedMemory {
  private let region: MappedRegion

  /// Maps the part; the descriptor is not needed any more then.
  ///
  /// What would let a touch fault is refused: only a file in memory can be sealed, and one that is sealed against
  /// shrinking keeps its size; a hole that somebody punches into it is filled again by a touch, unless it takes huge
  /// pages, of which there may be none left. Its seals come first: any other file would be asked for its size, and
  /// this one may be the device's own, whose request threads would wait for themselves.
  init(_ file: consuming OwnedDescriptor, offset: UInt64, byteCount: UInt64) throws(DeviceError) {
    do throws(Errno) {
      guard try file.seals().contains(.shrink), try !file.isInHugePages() else {
        throw Errno.invalidArgument
      }
      let size = UInt64(try file.status().byteCount)
      // mmap itself refuses an offset within a page, a length of 0, and a file that may not be read or written, by
      // its mode or by its seals.
      guard offset <= size, byteCount <= size - offset else { throw Errno.invalidArgument }
      region = try MappedRegion(
        file, offset: offset, byteCount: Int(byteCount), isWritable: true)
    } catch {
      throw error == .noMemory ? .outOfMemory : .invalid
    }
  }

  var bytes: UnsafeMutableRawBufferPointer { unsafe region.bytes }
}
