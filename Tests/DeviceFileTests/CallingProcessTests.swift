import Glibc
import PagedDevice
import Synchronization
import SystemCalls
import SystemPackage
import Testing
import XIVETestSupport

@testable import DeviceFile

/// Another process, as the server sees one that asks it for something.
private struct AskingConsumer: ~Copyable {
  var consumer: Consumer
  let caller: CallingProcess

  init(mount: String? = nil) throws {
    // First: a consumer is not taken back by an initializer that throws.
    let listener = try EventListener()
    consumer = try Consumer()
    caller = CallingProcess(threadID: consumer.processID, mount: mount, listener: listener)
  }

  /// The number that a descriptor has in that process.
  mutating func number(of slot: Int) throws -> Int32 {
    try #require(Int32(try consumer.expect("number \(slot)")))
  }

  /// Makes a memfd of 64 KiB in slot 0.
  mutating func memory(_ seals: String) throws -> Int32 {
    try consumer.expect("memfd 0 65536 \(seals)")
    return try number(of: 0)
  }
}

@Suite("Memory and descriptors of another process", .hangGuard)
struct CallingProcessTests {
  @Test("What is shared is the caller's memory, in both directions")
  func sharesMemory() throws {
    var asking = try AskingConsumer()
    let descriptor = try asking.memory("shrink")
    let memory = try asking.caller.share(descriptor, offset: 4_096, byteCount: 8_192)
    #expect(unsafe memory.bytes.count == 8_192)
    try asking.consumer.expect("pwrite 0 4096 0102030405060708")
    #expect(unsafe memory.bytes.load(as: UInt64.self).bigEndian == 0x0102_0304_0506_0708)
    unsafe memory.bytes.storeBytes(of: UInt64(0xa1).bigEndian, toByteOffset: 8_184, as: UInt64.self)
    #expect(try asking.consumer.load(at: 4_096 + 8_184) == 0xa1)
  }

  @Test("It outlives the caller's descriptor, and the caller")
  func outlivesTheCaller() throws {
    var asking = try AskingConsumer()
    let descriptor = try asking.memory("shrink")
    let memory = try asking.caller.share(descriptor, offset: 0, byteCount: 65_536)
    try asking.consumer.expect("pwrite 0 8 0000000000000007")
    try asking.consumer.expect("close 0")
    #expect(unsafe memory.bytes.load(fromByteOffset: 8, as: UInt64.self).bigEndian == 7)
    asking.consumer.signal(SIGKILL)
    #expect(asking.consumer.exitCode() == 128 + SIGKILL)
    #expect(unsafe memory.bytes.load(fromByteOffset: 8, as: UInt64.self).bigEndian == 7)
    unsafe memory.bytes.storeBytes(of: 9, toByteOffset: 65_528, as: UInt64.self)
  }

  @Test("A part need not end with a page, but with the memory")
  func sharesParts() throws {
    var asking = try AskingConsumer()
    try asking.consumer.expect("memfd 0 4100 shrink,grow")
    let descriptor = try asking.number(of: 0)
    let caller = asking.caller
    #expect(unsafe try caller.share(descriptor, offset: 4_096, byteCount: 4).bytes.count == 4)
    #expect(unsafe try caller.share(descriptor, offset: 0, byteCount: 1).bytes.count == 1)
    #expect(throws: DeviceError.invalid) {
      try caller.share(descriptor, offset: 4_096, byteCount: 5)
    }
  }

  private static let seals: [(String, Bool)] = [
    ("none", false), ("grow", false), ("shrink", true), ("shrink,grow", true),
    ("shrink,write", false), ("shrink,future-write", false), ("write", false),
  ]

  @Test("It must be sealed against shrinking, and not against writing", arguments: seals)
  func checksSeals(seals: String, isTaken: Bool) throws {
    var asking = try AskingConsumer()
    let descriptor = try asking.memory(seals)
    let caller = asking.caller
    if isTaken {
      #expect(unsafe try caller.share(descriptor, offset: 0, byteCount: 4_096).bytes.count == 4_096)
    } else {
      #expect(throws: DeviceError.invalid) {
        try caller.share(descriptor, offset: 0, byteCount: 4_096)
      }
    }
  }

  // Without a pool of huge pages it would be refused later, for want of memory.
  @Test("Huge pages of the system's pool are refused: a hole that is punched there may stay one")
  func refusesHugePages() throws {
    var asking = try AskingConsumer()
    try asking.consumer.expect("memfd 0 2097152 shrink,huge")
    let descriptor = try asking.number(of: 0)
    let caller = asking.caller
    #expect(throws: DeviceError.invalid) {
      try caller.share(descriptor, offset: 0, byteCount: 2_097_152)
    }
  }

  /// Offsets and sizes that do not lie in 64 KiB.
  private static let parts: [(UInt64, UInt64)] = [
    (0, 0), (0, 65_537), (0, .max), (1, 4_096), (2_048, 4_096), (61_440, 4_097), (65_536, 0),
    (65_536, 1), (131_072, 4_096), (1 << 63, 4_096),
    (.max & ~4_095, 4_096), (.max & ~4_095, 8_192), (.max, 1),
    (4_096, .max - 4_095), (4_096, .max),
  ]

  @Test("A part that does not lie in the memory is refused", arguments: parts)
  func checksParts(offset: UInt64, byteCount: UInt64) throws {
    var asking = try AskingConsumer()
    let descriptor = try asking.memory("shrink")
    let caller = asking.caller
    #expect(throws: DeviceError.invalid) {
      try caller.share(descriptor, offset: offset, byteCount: byteCount)
    }
  }

  @Test("It must be open for reading and for writing", arguments: ["ro", "wo"])
  func checksMode(mode: String) throws {
    var asking = try AskingConsumer()
    let memory = try asking.memory("shrink")
    try asking.consumer.expect("open 1 /proc/self/fd/\(memory) \(mode)")
    let descriptor = try asking.number(of: 1)
    let caller = asking.caller
    #expect(throws: DeviceError.invalid) {
      try caller.share(descriptor, offset: 0, byteCount: 4_096)
    }
  }

  @Test("Other files are no memory", arguments: ["/dev/null", "/dev/zero", "/proc/self/stat"])
  func refusesFiles(path: String) throws {
    var asking = try AskingConsumer()
    try asking.consumer.expect("open 0 \(path) rw")
    let descriptor = try asking.number(of: 0)
    let caller = asking.caller
    #expect(throws: DeviceError.invalid) {
      try caller.share(descriptor, offset: 0, byteCount: 4_096)
    }
    // A pipe: the consumer's commands.
    #expect(throws: DeviceError.invalid) { try caller.share(0, offset: 0, byteCount: 4_096) }
  }

  @Test("A file that is no memory is not even copied: its server could have whoever closes it wait")
  func copiesNoFiles() throws {
    let place = try TemporaryPlace("xive-share")
    let path = place.path + "/file"
    try TextFile.write("0123", to: path)
    let own = try OwnedDescriptor(opening: path, .readWrite)
    let other = try OwnedDescriptor(opening: path, .readWrite)
    // A process's lock goes when it closes any descriptor of the file.
    func lock(_ descriptor: Int32, _ command: Int32) throws -> Int16 {
      var lock = flock()
      lock.l_type = Int16(F_WRLCK)
      let result = unsafe fcntl(descriptor, command, &lock)
      try #require(result == 0)
      return lock.l_type
    }
    _ = try lock(own.rawValue, F_SETLK)
    // F_OFD_GETLK, which sees this process's locks as another's.
    #expect(try lock(other.rawValue, 36) == Int16(F_WRLCK))
    var asking = try AskingConsumer()
    try asking.consumer.expect("open 0 \(path) rw")
    let descriptor = try asking.number(of: 0)
    let caller = asking.caller
    #expect(throws: DeviceError.invalid) {
      try caller.share(descriptor, offset: 0, byteCount: 4_096)
    }
    #expect(try lock(other.rawValue, 36) == Int16(F_WRLCK), "a copy was closed")
    withExtendedLifetime(own) { withExtendedLifetime(place) {} }
  }

  @Test("A number that is not open is a bad descriptor", arguments: [-1, 999, .max, .min])
  func refusesNumbers(descriptor: Int32) throws {
    let asking = try AskingConsumer(mount: "0:1")
    let caller = asking.caller
    #expect(throws: DeviceError.badDescriptor) {
      try caller.share(descriptor, offset: 0, byteCount: 4_096)
    }
    #expect(throws: DeviceError.badDescriptor) { try caller.isDevice(descriptor) }
    #expect(throws: DeviceError.badDescriptor) { try caller.event(descriptor) }
  }

  @Test("A thread of a process is as good as its first one")
  func takesFromThreads() throws {
    var asking = try AskingConsumer()
    let own = try ForeignDescriptor(try asking.memory("shrink"), ofThread: asking.caller.threadID)
      .copy()
    let number = own.rawValue
    let listener = try EventListener()
    let seen = Mutex<(count: Int, isDevice: Bool)?>(nil)
    Threads.run(1) { _ in
      guard let path = try? MountTable.realPath("/proc/thread-self"),
        let thread = path.split(separator: "/").last.flatMap({ Int32($0) }), thread != getpid()
      else { return }
      let caller = CallingProcess(threadID: thread, mount: "none", listener: listener)
      guard let memory = try? caller.share(number, offset: 0, byteCount: 4_096),
        let isDevice = try? caller.isDevice(number)
      else { return }
      seen.withLock { $0 = (unsafe memory.bytes.count, isDevice) }
    }
    let result = try #require(seen.withLock { $0 })
    #expect(result == (4_096, false))
    let isStillOpen = try own.seals() == .shrink
    #expect(isStillOpen)
  }

  @Test("A thread that cannot be seen has nothing that can be taken", arguments: [0, -1, .max])
  func refusesThreads(thread: Int32) throws {
    let caller = CallingProcess(threadID: thread, mount: nil, listener: try EventListener())
    #expect(throws: DeviceError.notPermitted) {
      try caller.share(0, offset: 0, byteCount: 4_096)
    }
    #expect(throws: DeviceError.notPermitted) { try caller.isDevice(0) }
    #expect(throws: DeviceError.notPermitted) { try caller.event(0) }
  }

  @Test("A descriptor is the device's when its file system is")
  func findsTheDevice() throws {
    var asking = try AskingConsumer()
    try asking.consumer.expect("open 0 /proc/self/stat ro")
    try asking.consumer.expect("open 1 /dev/null ro")
    let proc = try asking.number(of: 0)
    let null = try asking.number(of: 1)
    let number = try #require(MountTable.device(at: "/proc"))
    let caller = CallingProcess(
      threadID: asking.consumer.processID, mount: number, listener: try EventListener())
    #expect(try caller.isDevice(proc))
    #expect(try !caller.isDevice(null))
    #expect(try !asking.caller.isDevice(proc), "nothing is mounted")
  }

  /// What fails when a descriptor is taken, and what the caller is told.
  private static let errors: [(Errno, DeviceError)] = [
    (.badFileDescriptor, .badDescriptor), (.notPermitted, .notPermitted),
    (.permissionDenied, .notPermitted), (.noSuchProcess, .notPermitted),
    (.tooManyOpenFiles, .outOfMemory), (.tooManyOpenFilesInSystem, .outOfMemory),
    (.noMemory, .outOfMemory),
  ]

  @Test("Each way to fail has its error", arguments: errors)
  func refuses(error: Errno, refusal: DeviceError) {
    #expect(CallingProcess.refusal(error) == refusal)
  }

  @Test("What was copied is closed again, and what was mapped is unmapped")
  func leavesNothing() throws {
    var asking = try AskingConsumer()
    let descriptor = try asking.memory("shrink")
    let caller = asking.caller
    let status = try asking.consumer.expect("stat 0").split(separator: " ")
    let inode = try #require(status.first { $0.hasPrefix("ino=") }?.dropFirst(4))
    // Other tests open files meanwhile: what counts is this one.
    func mappings() -> Int {
      TextFile.contents(of: "/proc/self/maps").split(separator: "\n").count {
        $0.contains(" \(inode) ") && $0.contains("memfd:consumer")
      }
    }
    let own = try ForeignDescriptor(descriptor, ofThread: caller.threadID).copy()
    #expect(Self.descriptors(like: own) == 1, "the count sees a copy")
    do {
      let memory = try caller.share(descriptor, offset: 0, byteCount: 65_536)
      #expect(unsafe memory.bytes.count == 65_536)
      #expect(mappings() == 1)
      #expect(Self.descriptors(like: own) == 1)
    }
    #expect(mappings() == 0)
    #expect(throws: DeviceError.invalid) { try caller.share(descriptor, offset: 1, byteCount: 8) }
    #expect(Self.descriptors(like: own) == 1)
    // Nor is anything else left open: the lowest free number stays low.
    for _ in 0..<1_000 {
      _ = try caller.share(descriptor, offset: 0, byteCount: 4_096)
      _ = try caller.isDevice(descriptor)
    }
    let last = try ForeignDescriptor(descriptor, ofThread: caller.threadID).copy()
    let number = last.rawValue
    #expect(number < own.rawValue + 900)
  }

  /// Descriptors of this process that are open on the same file.
  private static func descriptors(like file: borrowing OwnedDescriptor) -> Int {
    let own = getpid()
    let wantedSystem = try? ForeignDescriptor(file.rawValue, ofThread: own).fileSystem()
    func identity(_ number: Int32) -> [UInt64]? {
      // Other tests' files may be a device's: those are not asked.
      let system = try? ForeignDescriptor(number, ofThread: own).fileSystem()
      guard system == wantedSystem else { return nil }
      var info = stat()
      return unsafe fstat(number, &info) == 0 ? [UInt64(info.st_dev), UInt64(info.st_ino)] : nil
    }
    let wanted = identity(file.rawValue)
    return (Int32(0)..<4_096).count { identity($0) == wanted }
  }
}
