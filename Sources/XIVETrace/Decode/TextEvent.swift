/// The tools whose text is understood.
public enum TextFormat: String, Hashable, Sendable, CaseIterable {
  /// Of `perf script`.
  case perfScript = "perf-script"
  /// Of `perf trace -F`.
  case perfTrace = "perf-trace"
  /// Of tracefs: `trace` and `trace_pipe`.
  case ftrace
}

/// An event that a line tells of: where it names a place, and what else can be learned from it.
struct TextEvent {
  /// A number in the line that names a place.
  struct Place {
    /// Where its characters are.
    let range: Range<Int>
    /// What it names.
    let target: Target
  }

  /// What a number names.
  enum Target {
    /// A byte offset in a file.
    case offset(UInt64, in: File)
    /// An address of the thread's process.
    case address(UInt64)
  }

  /// A file, as far as a line names it.
  enum File {
    case identity(FileIdentity)
    case path(String)
  }

  let format: TextFormat
  /// The event's name, as the line has it.
  let name: String
  let places: [Place]
  var access = KernelFault.Access.unknown
  let header: TextHeader

  /// Reads a line of any of the tools; nil when it tells of no event that names a place.
  init?(_ line: ArraySlice<UInt8>) {
    let event =
      Self.perfTrace(line) ?? Self.pageCache(line) ?? Self.fault(line) ?? Self.sample(line)
    guard let event else { return nil }
    self = event
  }

  init(_ format: TextFormat, _ name: String, _ places: [Place], header: TextHeader) {
    self.format = format
    self.name = name
    self.places = places
    self.header = header
  }
}
