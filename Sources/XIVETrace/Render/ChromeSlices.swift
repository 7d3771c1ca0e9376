internal import TraceRecords

/// An event where a track shows it.
struct ChromeSlice {
  let event: TraceEvent
  /// Where it begins, in nanoseconds of `CLOCK_MONOTONIC`.
  let start: UInt64

  /// Where it ends, not before it begins.
  let end: UInt64

  /// How long it is drawn.
  var length: UInt64 { end - start }
}

/// Lays events out on their threads' tracks.
///
/// Viewers drop slices that overlap without one being inside the other. A thread goes on as soon as it has its answer,
/// a little before the server has looked at the clock: what it does next can begin before the end that was recorded,
/// and is shown from that end on.
struct ChromeSlices {
  /// Slices that the next could run into; requests are no deeper inside each other.
  private static let limit = 16

  private var tracks: [UInt32: [Range<UInt64>]] = [:]

  /// Takes an event that lasts; those of a thread come in the order in which they ended.
  mutating func place(_ event: TraceEvent) -> ChromeSlice {
    let record = event.record
    var track = tracks[record.threadID] ?? []
    while let last = track.last, last.lowerBound >= record.time { track.removeLast() }
    // A slice of no length is none: an arrow could not begin there.
    let end = max(event.end, record.time == .max ? .max : record.time + 1)
    let before = track.last?.upperBound ?? 0
    let slice = ChromeSlice(
      event: event, start: before < end ? max(record.time, before) : record.time, end: end)
    track.append(slice.start..<end)
    tracks[record.threadID] = track.suffix(Self.limit)
    return slice
  }
}
