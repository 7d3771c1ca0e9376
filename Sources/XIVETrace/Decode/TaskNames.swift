internal import SystemCalls
public import TraceRecords

/// Names of threads: from the stream, which tells them before a thread's first record.
public struct TaskNames: Sendable {
  private var names: [UInt32: String]

  /// Knows no names yet.
  public init() { names = [:] }

  /// Takes a name from a record that tells one; others have none to tell.
  public mutating func note(_ record: TraceRecord) {
    if let name = record.threadName { names[record.threadID] = name }
  }

  /// A thread's name; 0 is the kernel.
  public func name(of thread: UInt32) -> String? { thread == 0 ? "kernel" : names[thread] }

  /// Makes records of the names of threads that the stream has not told yet: a reader that joins late would wait a
  /// second for them. A thread that has ended has none any more.
  /// - Parameter records: what was read; names in it count as told.
  /// - Returns: records to put in front of them, with sequence number and time of the first.
  public mutating func missing(in records: [TraceRecord]) -> [TraceRecord] {
    var asked: Set<UInt32> = []
    var made: [TraceRecord] = []
    for record in records {
      note(record)
      let thread = record.threadID
      guard name(of: thread) == nil, asked.insert(thread).inserted else { continue }
      let comm = TextFile.contents(of: "/proc/\(thread)/comm").split(separator: "\n").first
      guard let comm, let first = records.first else { continue }
      var task = TraceRecord(.task, sequence: first.sequence, time: first.time)
      task.threadID = thread
      task.processID = record.processID
      task.threadName = String(comm)
      made.append(task)
    }
    for task in made { note(task) }
    return made
  }
}

extension TraceRecord {
  /// The name of a thread, 15 bytes at most, that a record of kind ``/TraceRecords/TraceKind/task`` tells, with a
  /// question mark for each control character: any bytes can be a name, and some move a terminal's cursor. Nil for
  /// other kinds; setting it needs the kind.
  public var threadName: String? {
    get {
      guard kind == .task else { return nil }
      let words = [offset ?? .max, value]
      let bytes = unsafe words.withUnsafeBytes { unsafe [UInt8]($0) }
      let name = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      return String(
        name.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : Character($0) })
    }
    set {
      var words: [UInt64] = [0, 0]
      let name = Array((newValue ?? "").utf8.prefix(15))
      unsafe words.withUnsafeMutableBytes { unsafe $0.copyBytes(from: name) }
      (offset, value) = (words[0], words[1])
    }
  }
}
