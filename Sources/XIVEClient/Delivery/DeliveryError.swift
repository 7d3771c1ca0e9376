public import SystemPackage
public import XIVEModel

/// Why a vCPU, a queue, a route or guest memory was refused.
public enum DeliveryError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The server number lies beyond the device's, or beyond the limit that was set.
  case noSuchServer(Server, count: UInt32)
  /// Another descriptor is connected to the server.
  case serverTaken(Server)
  /// The device refuses to connect a descriptor.
  case connect(Server, Errno)
  /// No vCPU is connected as the server.
  case notConnected(Server)
  /// A guest has the priorities 0 to 6.
  case noSuchPriority(Priority)
  /// A queue cannot be at that guest-physical address: it is not aligned, or not in a memory slot.
  case queueAddress(Server, Priority, UInt64)
  /// The source was never created, or no vCPU is connected as the server.
  case cannotRoute(LISN, Server)
  /// No server has a queue of that priority with room.
  case noQueue(Priority)
  /// The device refuses a part of guest memory.
  case memorySlot(UInt32, Errno)
  /// The system refuses memory for a guest.
  case guestMemory(byteCount: Int, Errno)
  /// A queue does not lie in its memory.
  case queueMemory(offset: Int, byteCount: Int, memory: Int)
  /// The number of servers cannot be that, or not any more.
  case serverCount(UInt32, Errno)
  /// The device refuses an event notification descriptor.
  case end(UInt32, Errno)

  /// The error number that a C caller gets.
  public var errno: Errno {
    switch self {
    case .serverTaken: .fileExists
    case .notConnected: .noSuchFileOrDirectory
    case .noQueue: .resourceBusy
    case .connect(_, let error), .memorySlot(_, let error), .guestMemory(_, let error),
      .serverCount(_, let error), .end(_, let error):
      error
    case .noSuchServer, .noSuchPriority, .queueAddress, .cannotRoute, .queueMemory:
      .invalidArgument
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .noSuchServer(let server, let count):
      "\(server.words): this device has \(count) servers, numbered from 0, or fewer if it was told so"
    case .serverTaken(let server):
      "\(server.words): another descriptor is connected to it: close that first"
    case .connect(let server, let error): "\(server.words): cannot be connected: \(error.reason)"
    case .notConnected(let server):
      "\(server.words): no vCPU is connected as it: connect one first"
    case .noSuchPriority(let priority): "\(priority.words): a guest has the priorities 0 to 6"
    case .queueAddress(let server, let priority, let address):
      "queue of \(server.words), \(priority.words), at 0x\(String(address, radix: 16)): "
        + "must be 64 KiB within one memory slot, at a multiple of that, and notify always"
    case .cannotRoute(let lisn, let server):
      "LISN \(lisn) to \(server.words): the source was never created, or no vCPU is connected as the "
        + "server: do that first"
    case .noQueue(let priority):
      "\(priority.words): no server has a queue for it that has room: configure one first"
    case .memorySlot(let slot, let error): "memory slot \(slot): \(error.slotReason)"
    case .guestMemory(let count, let error): "guest memory of \(count) bytes: refused: \(error)"
    case .queueMemory(let offset, let count, let memory):
      "queue of \(count) bytes at byte \(offset) of guest memory of \(memory) bytes: must be a power of "
        + "two from 4096 on, and lie in it"
    case .serverCount(let count, .resourceBusy):
      "\(count) servers: another number is set, or a vCPU has connected: set it once, before the first does"
    case .serverCount(let count, _):
      "\(count) servers: a device has 1 to \(Server.maximumCount)"
    case .end(let index, let error): "END \(index): \(error.endReason)"
    }
  }
}

extension Server {
  /// The server in a message.
  fileprivate var words: String { "server \(rawValue)" }
}

extension Priority {
  /// The priority in a message.
  fileprivate var words: String { "priority \(rawValue)" }
}

extension Errno {
  /// Why the device does not take a descriptor.
  fileprivate var reason: String {
    self == .notPermitted
      ? "the server may not look at this process's descriptors: run both as the same user, or it as root"
      : "\(self)"
  }

  fileprivate var slotReason: String {
    switch self {
    case .noSuchAddressOrDevice: "a device has the slots 0 to 31"
    case .invalidArgument:
      "must be whole pages of a writable memfd of ordinary pages that is sealed against shrinking, and end "
        + "below 2^60"
    case .noMemory:
      "all slots together have at most 16 TiB, and the server must have room to map it: remove another one "
        + "first"
    case .fileExists: "is in use, or overlaps another one: remove that first"
    case .noSuchFileOrDirectory: "is empty"
    default: reason
    }
  }

  fileprivate var endReason: String {
    switch self {
    case .argListTooLong, .noSuchAddressOrDevice: "this device has 8 for each of its servers"
    case .invalidArgument:
      "its queue must lie in one memory slot, aligned to its size, and it must notify one vCPU (format 0, no group)"
    default: "refused: \(self)"
    }
  }
}
