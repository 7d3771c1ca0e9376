internal import ArgumentParser
internal import Glibc
internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel
internal import XIVETrace

/// `xive trace decode`: other tools' text in the device's names.
struct DecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Rewrite the text of perf and ftrace into names of the device's pages.",
    discussion: """
      Reads perf script, perf trace -F and ftrace text, line by line and each by itself: page faults with addresses, \
      exceptions:page_fault_* and filemap:*. Everything else of a line stays as it was, and so does every line that is \
      not of the device. Addresses need the process's mappings: --maps with the text of /proc/PID/maps, or \
      perf script --show-mmap-events. Without --device the file is taken whose offsets name pages beyond a terabyte.
      """)

  @Argument(help: "A file of text; standard input if missing.") var file: String?
  @Option(help: "The text of /proc/PID/maps of the process that was traced.") var maps: String?
  @Option(
    help: "The device file, as the text names it; while it is served, its layout is asked for.")
  var device: String?
  @Option(help: "Size of a device page, where the device is not there: 4k or 64k. (default: 4k)")
  var pageSize: PageSize?
  @Option(help: "Number of sources, where the device is not there. (default: 1048576)")
  var sources: UInt32?
  @Flag(help: "Print a JSON object for each line of the device, and no other lines.") var json =
    false

  func validate() throws {
    guard let sources, !(1...UInt32(LISN.maximumCount)).contains(sources) else { return }
    throw ValidationError("--sources: \(sources) is out of range: 1 to \(LISN.maximumCount)")
  }

  func run() throws {
    var decoder = TextDecoder(
      map: map, path: device.map(Self.absolute),
      identity: device.flatMap(FileIdentity.init(ofPath:)), maps: try maps.map(Self.text))
    var lines = try openSource()
    var output = LineOutput()
    let json = self.json
    do {
      while try lines.next({ line, isWhole in
        let decoded = decoder.decode(line)
        if json {
          if let decoded { output.add(DecodedLine(decoded, decoder.tally.lines).json) }
        } else {
          output.add(decoded?.bytes[...] ?? line, hasEnd: isWhole)
        }
      }) { try output.flush() }
      try output.flush()
    } catch let error as TraceFileError {
      throw Self.failure("\(error)")
    } catch {
      throw Self.failure("\(name): \(error)")
    }
    let report = DecodeReport(decoder.tally, hasMaps: maps != nil, name: name)
    for line in report.lines { printError("xive: \(line)") }
    if report.isNothing { throw Exit.failed }
  }

  private var name: String { file ?? "standard input" }

  private func openSource() throws -> LineSource {
    do {
      guard let file else { return LineSource(try OwnedDescriptor(duplicating: STDIN_FILENO)) }
      return LineSource(try OwnedDescriptor(opening: file, []))
    } catch { throw Self.failure("\(name): \(error)") }
  }

  /// The layout that was asked for, else that of the device, else the largest.
  private var map: DeviceMap {
    let served = device.flatMap { try? XIVEDescriptor($0, isWritable: false).map }
    return DeviceMap(
      pageShift: pageSize.map { UInt64($0.shift) } ?? served?.pageShift ?? 12,
      sourceCount: sources ?? served?.sourceCount ?? UInt32(LISN.maximumCount),
      serverCount: served?.serverCount ?? UInt32(Server.maximumCount))
  }

  /// Tools write absolute paths.
  private static func absolute(_ path: String) -> String {
    guard let resolved = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  private static func text(_ path: String) throws -> String {
    let text = TextFile.contents(of: path)
    guard !text.isEmpty else {
      throw failure("--maps \(path): is empty or cannot be read: save /proc/PID/maps there")
    }
    return text
  }

  private static func failure(_ line: String) -> ExitCode {
    printError("xive: \(line)")
    return Exit.failed
  }
}
