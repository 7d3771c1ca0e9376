public import SystemPackage
public import XIVEModel

/// Why an irqfd, a line or a message was refused.
public enum InjectionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// An eventfd for a level-sensitive source, whose line nothing would ever lower.
  case levelSensitive(LISN)
  /// A resample eventfd for a source that sends messages, whose end nobody is told.
  case message(LISN)
  /// A descriptor is no eventfd; the eventfd's, and the resample eventfd's.
  case noEventfd(LISN, [CInt])
  /// The device refuses an irqfd, or the system a copy of its descriptors.
  case irqfd(LISN, Errno)
  /// The source is mapped to hardware, where its events come from.
  case passedThrough(LISN, PassthroughTarget)
  /// Nothing takes the message.
  case noSuchMessage(RequesterID, Message)
  /// No route of the requester begins with the message.
  case noSuchRoute(RequesterID, Message)
  /// A route has at least one message, and data and sources up to its end.
  case routeCount(MessageRoute)
  /// Another route of the requester has some of the messages.
  case routeExists(MessageRoute)
  /// A source of the route was never created, or is level-sensitive.
  case cannotRoute(MessageRoute)

  /// The error number that a C caller gets.
  public var errno: Errno {
    switch self {
    case .irqfd(_, let error): error
    case .noSuchMessage, .noSuchRoute: .noSuchFileOrDirectory
    case .routeExists: .fileExists
    case .levelSensitive, .message, .noEventfd, .passedThrough, .routeCount, .cannotRoute:
      .invalidArgument
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .levelSensitive(let lisn):
      "LISN \(lisn): level-sensitive: assign it with a resample eventfd"
    case .message(let lisn):
      "LISN \(lisn): sends messages, whose end is never told: assign it without a resample eventfd"
    case .noEventfd(let lisn, let descriptors):
      "LISN \(lisn): descriptor \(descriptors.map { "\($0)" }.joined(separator: " or ")) is no eventfd"
    case .irqfd(let lisn, let error): "LISN \(lisn): no irqfd: \(error.irqfdReason)"
    case .passedThrough(let lisn, let target):
      "LISN \(lisn): mapped to \(target.phb.words), interrupt \(target.irq.rawValue), where its events come "
        + "from: unmap it first"
    case .noSuchMessage(let requester, let message):
      "\(message) of \(requester): nothing takes it: add a route for it"
    case .noSuchRoute(let requester, let message):
      "\(message) of \(requester): no route begins there: remove what was added"
    case .routeCount(let route):
      "\(route): a route has at least one message, and neither data nor LISNs beyond 32 bits"
    case .routeExists(let route):
      "\(route): another route of the requester has some of these messages: remove that first"
    case .cannotRoute(let route):
      "\(route): a source was never created, or is level-sensitive: create sources that send messages"
    }
  }
}

extension Errno {
  /// Why there is no irqfd.
  fileprivate var irqfdReason: String {
    switch self {
    case .resourceBusy:
      "the eventfd is assigned already: deassign that one first, or use another eventfd"
    case .badFileDescriptor:
      "an eventfd is not open, or the device is not open for writing: open it so"
    case .notPermitted:
      "the server may not take this process's descriptors: run both as the same user, or it as root"
    case .noMemory: "the server has no descriptors left: raise its limit of open files"
    case .tooManyOpenFiles: "this process has no descriptors left: raise its limit of open files"
    default: "refused: \(self)"
    }
  }
}
