internal import SystemCalls
internal import SystemPackage

/// Where the beginnings of faults are learned from, the best first.
enum FaultSource: Hashable, Sendable {
  /// The tracepoints of page faults, with the processor's error code: write or read, and failing faults.
  case tracepoints([Tracepoint])
  /// The software event, in the process and in the kernel: no write or read.
  case software
  /// The software event in the process alone.
  case softwareInProcess

  /// A tracepoint that can be sampled.
  struct Tracepoint: Hashable, Sendable {
    /// The number in its `id` file.
    let number: UInt64
    /// Where its fields are.
    let fields: FaultFields
  }

  /// What is sampled, with what each sample means.
  var requests: [(PerfRequest, PerfEventNumbers.Meaning)] {
    beginnings + [
      (PerfRequest(.minorFault, isUserOnly: isUserOnly), .end(isMajor: false)),
      (PerfRequest(.majorFault, isUserOnly: isUserOnly), .end(isMajor: true)),
    ]
  }

  private var isUserOnly: Bool { self == .softwareInProcess }

  // One of them tells of mappings, for all threads have it.
  private var beginnings: [(PerfRequest, PerfEventNumbers.Meaning)] {
    switch self {
    case .tracepoints(let points):
      points.enumerated().map { position, point in
        (
          PerfRequest(.tracepoint(point.number), tellsMappings: position == 0),
          .beginning(point.fields)
        )
      }
    case .software, .softwareInProcess:
      [(PerfRequest(.fault, tellsMappings: true, isUserOnly: isUserOnly), .beginning(nil))]
    }
  }

  /// The sources that a machine may have.
  /// - Parameter readText: gives a file's text, empty when it cannot be read.
  /// - Returns: the best first.
  static func all(readText: (String) -> String) -> [FaultSource] {
    let points = tracepoints(readText)
    return (points.isEmpty ? [] : [.tracepoints(points)]) + [.software, .softwareInProcess]
  }

  // Linux Documentation/trace/ftrace.rst: where tracefs is, and where it was before 4.1.
  private static func tracepoints(_ readText: (String) -> String) -> [Tracepoint] {
    for root in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
      let points = ["page_fault_user", "page_fault_kernel"].compactMap { name -> Tracepoint? in
        let directory = "\(root)/events/exceptions/\(name)"
        let number = readText("\(directory)/id").split(separator: "\n").first.flatMap { UInt64($0) }
        guard let number, let fields = FaultFields(format: readText("\(directory)/format")) else {
          return nil
        }
        return Tracepoint(number: number, fields: fields)
      }
      if points.count == 2 { return points }
    }
    return []
  }

  /// Tries sources until one is permitted.
  /// - Parameters:
  ///   - sources: the best first; at least one.
  ///   - open: starts one.
  /// - Returns: what was started, and which source it is.
  /// - Throws: the error of the last one; another error than that of a missing permission at once.
  static func firstPermitted<Value>(
    _ sources: [FaultSource], _ open: (FaultSource) throws(Errno) -> Value
  ) throws(Errno) -> (Value, FaultSource) {
    var last = Errno.invalidArgument
    for source in sources {
      do { return (try open(source), source) } catch {
        guard error == .permissionDenied || error == .notPermitted else { throw error }
        last = error
      }
    }
    throw last
  }
}
