import SystemPackage
import Testing
import XIVEClient
import XIVEModel

@Suite("Words of refusals")
struct RefusalTests {
  private static let route = MessageRoute(
    of: RequesterID(rawValue: 0x100), Message(at: 0xfee0_0000, 0x20), to: 0x1300, count: 4)
  private static let message = Message(at: 0xfee0_0000, 0x20)

  @Test(
    "A refused set-up names its object, its number and the remedy",
    arguments: [
      (.sourceCount(0, limit: 64, .invalidArgument), "0 sources: a device has at least one"),
      (
        .sourceCount(65, limit: 64, .argListTooLong),
        "65 sources: this device was started with 64: set at most that"
      ),
      (
        .sourceCount(32, limit: 64, .resourceBusy),
        "32 sources: another number is set, or a source beyond it was created: set it once, before the sources"
      ),
      (
        .address(.esb, 0x1234, .invalidArgument),
        "ESB window at 0x1234: must be aligned to the device page, end below 2^64, and not overlap the TIMA window"
      ),
      (
        .address(.tima, 0x1000, .fileExists),
        "TIMA window at 0x1000: it is set already: it is set once, and a reset with no vCPU connected forgets it"
      ),
      (
        .address(.tima, 0x1000, .resourceBusy),
        "TIMA window at 0x1000: a vCPU has connected: set it before the first does"
      ),
      (.address(.esb, 0, .noSuchAddressOrDevice), "ESB window: has no address: set it first"),
      (
        .running(false, .badFileDescriptor),
        "the machine cannot be stopped: the device is not open for writing: open it so"
      ),
      (.running(true, .ioError), "the machine cannot be resumed: refused: Input/output error"),
      (
        .sourceState(from: 0x1300, .invalidArgument),
        "state of the sources from LISN 0x1300 on: a record does not fit this machine: its sources, servers and "
          + "mappings to PHBs must be as they were when it was read"
      ),
      (
        .sourceState(from: 1, .resourceBusy),
        "state of the sources from LISN 0x1 on: irqfds share the line of a source that would be none any more: "
          + "deassign them first"
      ),
      (
        .vpState(5, .badAddress),
        "state of server 5: the server may not reach this process's memory: ask by vpState(of:), which needs none of it"
      ),
      (
        .vpState(5, .noSuchAddressOrDevice),
        "state of server 5: no descriptor is connected as it: connect one first"
      ),
      (.vpState(5, .invalidArgument), "state of server 5: all but the state itself must be 0"),
    ] as [(MachineError, String)])
  func machine(_ error: MachineError, _ words: String) {
    #expect(error.description == words)
    #expect(XIVEClientError.machine(error).description == words)
    #expect(XIVEClientError.machine(error).errno == error.errno)
    let isNumber =
      switch error {
      case .sourceCount(_, _, let number), .address(_, _, let number), .running(_, let number),
        .sourceState(_, let number), .vpState(_, let number):
        error.errno == number
      }
    #expect(isNumber)
  }

  @Test(
    "A refused injection names its object, its number and the remedy",
    arguments: [
      (
        .levelSensitive(0x1200), .invalidArgument,
        "LISN 0x1200: level-sensitive: assign it with a resample eventfd"
      ),
      (
        .message(0x1300), .invalidArgument,
        "LISN 0x1300: sends messages, whose end is never told: assign it without a resample eventfd"
      ),
      (
        .noEventfd(3, [7, 9]), .invalidArgument, "LISN 0x3: descriptor 7 or 9 is no eventfd"
      ),
      (
        .irqfd(3, .resourceBusy), .resourceBusy,
        "LISN 0x3: no irqfd: the eventfd is assigned already: deassign that one first, or use another eventfd"
      ),
      (
        .irqfd(3, .badFileDescriptor), .badFileDescriptor,
        "LISN 0x3: no irqfd: an eventfd is not open, or the device is not open for writing: open it so"
      ),
      (
        .irqfd(3, .notPermitted), .notPermitted,
        "LISN 0x3: no irqfd: the server may not take this process's descriptors: run both as the same user, or it "
          + "as root"
      ),
      (
        .irqfd(3, .noMemory), .noMemory,
        "LISN 0x3: no irqfd: the server has no descriptors left: raise its limit of open files"
      ),
      (
        .irqfd(3, .tooManyOpenFiles), .tooManyOpenFiles,
        "LISN 0x3: no irqfd: this process has no descriptors left: raise its limit of open files"
      ),
      (
        .passedThrough(9, PassthroughTarget(2, 5)), .invalidArgument,
        "LISN 0x9: mapped to PHB 2, interrupt 5, where its events come from: unmap it first"
      ),
      (
        .noSuchMessage(route.requester, message), .noSuchFileOrDirectory,
        "message 0x20 at 0xfee00000 of requester 0x100: nothing takes it: add a route for it"
      ),
      (
        .noSuchRoute(route.requester, message), .noSuchFileOrDirectory,
        "message 0x20 at 0xfee00000 of requester 0x100: no route begins there: remove what was added"
      ),
      (
        .routeCount(route), .invalidArgument,
        "\(route): a route has at least one message, and neither data nor LISNs beyond 32 bits"
      ),
      (
        .routeExists(route), .fileExists,
        "4 messages of requester 0x100 from 0x20 at 0xfee00000 on, to LISN 0x1300: another route of the requester "
          + "has some of these messages: remove that first"
      ),
      (
        .cannotRoute(route), .invalidArgument,
        "\(route): a source was never created, or is level-sensitive: create sources that send messages"
      ),
    ] as [(InjectionError, Errno, String)])
  func injection(_ error: InjectionError, _ number: Errno, _ words: String) {
    #expect(error.description == words)
    #expect(error.errno == number)
    #expect(XIVEClientError.injection(error).description == words)
    #expect(XIVEClientError.injection(error).errno == number)
  }
}
