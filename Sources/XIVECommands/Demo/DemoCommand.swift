internal import ArgumentParser
internal import DeviceFile
internal import Logging
internal import SystemCalls
internal import XIVEClient
internal import XIVEDevice
internal import XIVEHarness
internal import XIVEModel
internal import XIVETrace

/// `xive demo`: everything in one go.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Show everything in one go, on a device that it serves itself.",
    discussion: """
      Serves a device in a temporary place and has other processes use it: a Swift consumer, the programs \
      named by --consumer, --guest and --vmm, QEMU where it is installed, a VMM that devices are plugged into and \
      unplugged from, and a guest whose vCPUs handle interrupts. Shows what they see and the faults that the \
      server resolved, and writes a report of everything that happened. Exits with 0 when everything was as \
      expected.
      """)

  @Option(
    help: ArgumentHelp(
      "A consumer to run on the device too, such as tools/examples/consumer.c compiled. It is given the "
        + "path, a LISN, and --hole with a LISN that does not exist.", valueName: "program"))
  var consumer: String?

  @Option(
    help: ArgumentHelp(
      "libxive-trap.so as tools/trap builds it: the consumer runs once more, with trapped windows.",
      valueName: "library"))
  var trap: String?

  @Option(
    help: ArgumentHelp(
      "A VMM with a KVM guest, such as tools/examples/guest.c compiled. It is given the path and a LISN.",
      valueName: "program"))
  var guest: String?

  @Option(
    help: ArgumentHelp(
      "A VMM that sets the machine up anew, such as tools/examples/vmm.c compiled. It is given the path.",
      valueName: "program"))
  var vmm: String?

  @Option(
    help: "Interrupts that the guest sends one by one, 1000 to 100000000; a million take minutes.")
  var events: Int = GuestCommand.defaultEvents

  @Option(help: ArgumentHelp("Write the report of the demo itself there.", valueName: "file"))
  var report: String = "xive-demo-report.html"

  /// A message source that consumers play with, and one that exists only once the demo creates it.
  private static let lisn = LISN(rawValue: 0x1304)
  private static let hole = LISN(rawValue: 0x1340)
  /// The first of the sources that devices are plugged to.
  private static let plugged = LISN(rawValue: 0x1310)

  func validate() throws { try GuestCommand.validate(events: events) }

  func run() throws {
    var stage = DemoStage()
    let device = try makeDevice()
    let host = try reporting { try DemoHost(device) }
    let recorder = try reporting { try DemoRecorder(host.path) }
    stage.title("A device file: \(host.path)")
    try reporting { try showMap(host.path) }

    stage.title("A Swift consumer, in a process of its own")
    stage.run(Program.own, ["consumer", host.path, "\(Self.lisn)", "\(Self.hole)"])
    stage.show(try reporting { try recorder.takeFaults() }, device.map)

    if let consumer {
      stage.title("A C consumer, built with nothing but xive.h and cc")
      // The hole of before exists now; its neighbour is the next.
      let next = LISN(rawValue: Self.hole.rawValue + 1)
      let arguments = [host.path, "\(Self.lisn)", "--hole", "\(next)"]
      stage.run(consumer, arguments)
      stage.show(try reporting { try recorder.takeFaults() }, device.map)
      if let trap {
        stage.title("The same program, its pointers trapped: LD_PRELOAD=libxive-trap.so")
        stage.run("/usr/bin/env", ["LD_PRELOAD=\(trap)", consumer] + arguments)
      }
    }
    if let guest {
      stage.title("A KVM guest: exits, ioeventfd to irqfd, and a read-only memslot")
      if let reason = Need.kvm.whatIsMissing {
        stage.note("skipped: \(reason)")
      } else {
        stage.run(guest, [host.path, "\(Self.lisn)"])
      }
    }
    stage.title("QEMU, unmodified: memory-backend-file and ivshmem-plain")
    if let qemu = Program.find("qemu-system-x86_64") {
      stage.expect(QEMUConsumer.run(qemu, host.path, device.map))
      stage.show(try reporting { try recorder.takeFaults() }, device.map)
    } else {
      stage.note("skipped: qemu-system-x86_64 is not installed: apt-get install qemu-system-x86")
    }
    stage.title("Hot-plug: devices come and go under a VMM, in a process of its own")
    stage.run(Program.own, ["vmm", host.path, "\(Self.plugged)"])
    stage.showFillCount(try reporting { try recorder.takeFaults() })
    stage.title("Interrupts: four vCPUs handle them as Linux does, in a process of its own")
    stage.run(
      Program.own, ["guest", host.path, "--events", "\(events)"], within: 30_000 + events)
    if let vmm {
      stage.title("A VMM in C: KVM's own requests, in QEMU's order")
      stage.run(vmm, [host.path])
    }
    stage.title("Saved to a file, and restored from it")
    let file = host.path + ".state"
    for verb in ["save", "restore"] { stage.run(Program.own, [verb, host.path, file]) }
    stage.title("Summary")
    try reporting { try showCounters(host.path) }
    try write(recorder.finish())
    host.stop()
    stage.note(
      stage.failures == 0 ? "everything was as expected" : "\(stage.failures) things went wrong")
    if stage.failures > 0 { throw Exit.failed }
  }

  /// Writes the report of what was recorded from the start on.
  private func write(_ trace: Trace) throws {
    print("\nEverything that happened, as a page for a browser:")
    do { try ReportFiles.write(TraceReport(trace).html, to: report) } catch {
      printError("xive: \(error): name another place with --report")
      throw Exit.failed
    }
  }

  private func makeDevice() throws -> XIVEDevice {
    let device = XIVEDevice(Configuration())
    // As a pseries guest has them: IPIs, a level interrupt of a PHB, messages.
    let sources: [(ClosedRange<UInt32>, Bool)] = [
      (0x0...0xf, false), (0x1200...0x1203, true), (0x1300...0x131f, false),
    ]
    for (range, isLSI) in sources {
      for number in range { try device.createSource(LISN(rawValue: number), isLSI: isLSI) }
    }
    return device
  }

  private func showMap(_ path: String) throws {
    try MapCommand.parse([path]).run()
  }

  private func showCounters(_ path: String) throws {
    let counters = try XIVEDescriptor(path, isWritable: false).counters()
    print(table(counters.named.map { ["  " + $0.0, "\($0.1)"] }, rightAligned: [1]))
  }
}
