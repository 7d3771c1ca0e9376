import Glibc
import XIVETestSupport

/// A service manager's end of systemd's readiness protocol.
struct NotifySocket: ~Copyable {
  /// What `NOTIFY_SOCKET` says.
  let name: String
  private let descriptor: CInt
  private let directory: TemporaryDirectory

  /// Creates the socket, in the file system or as an abstract name.
  init(isAbstract: Bool = false) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/notify"
    let name = isAbstract ? "@" + path : path
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = (isAbstract ? [0] : []) + Array(path.utf8)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, size)
      }
    }
    guard result == 0 else { throw SupportFailure("bind \(name): errno \(errno)") }
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    self.name = name
    self.descriptor = descriptor
    self.directory = directory
  }

  deinit { close(descriptor) }

  /// Waits for the next message, for 10 seconds at most.
  func receive() -> String? {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
    }
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}

extension ServedDevice {
  /// Stops the server, as a debugger or a terminal does, and waits until every thread has stopped.
  func suspend() throws {
    signal(SIGSTOP)
    let question = "! grep -L '^State:.T' /proc/\(processID)/task/*/status | grep -q ."
    for _ in 0..<1_000 {
      if try CommandResult(["/bin/sh", "-c", question]).exitCode == 0 { return }
      usleep(1_000)
    }
    throw SupportFailure("process \(processID) does not stop")
  }
}

/// Consumers that fault, store through mappings and set PQ without a pause, on a device with 64 sources.
struct Load: ~Copyable {
  var faulting: Consumer
  var storing: Consumer
  var setting: Consumer

  /// Starts them: for so long, and so many stores by each of 8 threads.
  init(on path: String, milliseconds: Int, stores: Int) throws {
    var faulting = try Consumer(opening: path)
    var storing = try Consumer(opening: path)
    let setting = try Consumer(opening: path)
    try faulting.map(0, at: triggerPage(0), 64 << 13)
    try storing.map(0, at: triggerPage(0), 64 << 13)
    faulting.send("intr-storm \(milliseconds) 0 0x1800 0x2000 64")
    storing.send("threads 8 \(stores) store 0 0x1d00 0 8")
    setting.send("hammer 4 \(milliseconds) pwrite 0 \(managementPage(0) + 0xc00)")
    self.faulting = faulting
    self.storing = storing
    self.setting = setting
  }
}
