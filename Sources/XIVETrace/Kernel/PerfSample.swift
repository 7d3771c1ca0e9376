/// What the kernel tells in a ring, as far as it is of use here.
///
/// Source: Linux `include/uapi/linux/perf_event.h`, `enum perf_event_type`.
enum PerfSample: Hashable, Sendable {
  /// A fault, as it begins.
  case began(KernelFault)
  /// A fault of a thread is over, and gave a page.
  case ended(threadID: UInt32, address: UInt64, isMajor: Bool)
  /// A process has mapped something.
  case mapped(processID: UInt32, ProcessMapping)
  /// A process executes another program: nothing is mapped as it was.
  case executed(processID: UInt32)
  /// So many records found no room.
  case lost(UInt64)
}

/// A sample with its time.
struct TimedSample: Hashable, Sendable {
  /// Nanoseconds of `CLOCK_MONOTONIC`.
  let time: UInt64
  /// What.
  let sample: PerfSample
}

/// What the events of a process are, by the numbers that their samples carry.
struct PerfEventNumbers: Hashable, Sendable {
  /// What a sample of an event says.
  enum Meaning: Hashable, Sendable {
    /// A fault begins; where its own fields are, for a tracepoint.
    case beginning(FaultFields?)
    /// A fault is over.
    case end(isMajor: Bool)
  }

  /// The events' meanings.
  var meanings: [UInt64: Meaning] = [:]
}

/// Where a tracepoint of page faults has its fields, in bytes from the start of its sample.
///
/// Source: `format` beside the tracepoint's `id` in tracefs; Linux `arch/x86/include/asm/trace/exceptions.h`, since
/// 6.16 `include/trace/events/exceptions.h`.
struct FaultFields: Hashable, Sendable {
  /// The faulting address.
  let address: Int
  /// The instruction pointer.
  let instructionPointer: Int
  /// The processor's error code.
  let errorCode: Int

  /// Reads the text of `format`; nil when a field is missing or is not of 8 bytes.
  init?(format text: String) {
    func offset(of name: String) -> Int? {
      let line = text.split(separator: "\n").first { $0.contains(" \(name);") }
      let facts = line?.split(separator: "\t").compactMap { part -> (String, Int)? in
        let words = part.split { $0 == ":" || $0 == ";" }
        return words.count == 2 ? Int(words[1]).map { (String(words[0]), $0) } : nil
      }
      guard let facts, facts.contains(where: { $0 == ("size", 8) }) else { return nil }
      return facts.first { $0.0 == "offset" }?.1
    }
    guard let address = offset(of: "address"), let pointer = offset(of: "ip"),
      let code = offset(of: "error_code")
    else { return nil }
    self.address = address
    instructionPointer = pointer
    errorCode = code
  }

  /// Bytes that a sample has at least.
  var byteCount: Int { max(address, instructionPointer, errorCode) + 8 }
}
