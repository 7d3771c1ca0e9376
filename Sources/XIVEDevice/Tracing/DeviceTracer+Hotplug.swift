internal import PagedDevice
internal import TraceRecords
internal import XIVEModel

/// The records of PHBs that come and go, and of sources that they begin and end to serve.
extension DeviceTracer {
  /// Who the calling thread serves, while anybody follows.
  var originIfOn: TraceOrigin? { isOn ? origin() : nil }

  /// New backings were published: a record for each run of consecutive sources and interrupts.
  func published(_ transition: Transition) {
    for run in transition.hardwareRuns {
      let first = run[run.startIndex]
      var record = TraceRecord(.publish, time: TraceClock.nanoseconds)
      record.number = first.lisn.rawValue
      record.generation = first.new.generation
      record.value = UInt64(run.count)
      record.cause = transition.reason.cause
      switch transition.kind {
      case .map: record.hardware = (transition.phb.index.rawValue, first.irq.rawValue)
      case .unmap: record.backing = .ipi
      }
      append(record)
    }
  }

  /// A change has come to its end: no page of before can be reached.
  func ended(_ transition: Transition) {
    guard let origin = transition.origin else { return }
    if transition.isRemoval {
      var record = TraceRecord(.unplug)
      record.hardware = (transition.phb.index.rawValue, 0)
      record.generation = transition.phb.generation
      record.value = UInt64(transition.steps.count)
      return append(record, from: origin)
    }
    for run in transition.hardwareRuns {
      let first = run[run.startIndex]
      var record = TraceRecord(transition.kind == .map ? .map : .unmap)
      record.number = first.lisn.rawValue
      record.hardware = (transition.phb.index.rawValue, first.irq.rawValue)
      record.generation = first.new.generation
      record.value = UInt64(run.count)
      append(record, from: origin)
    }
  }

  /// A PHB was added.
  func plugged(_ phb: PHB) {
    var record = TraceRecord(.plug)
    record.hardware = (phb.index.rawValue, 0)
    record.generation = phb.generation
    record.value =
      UInt64(phb.shape.msiCount) | UInt64(phb.shape.lsiCount) << 32
      | (phb.shape.supportsStoreEOI ? 1 << 63 : 0)
    append(record, from: origin())
  }

  /// A PHB was fenced, or is no longer.
  func fenced(_ phb: PHB, _ isFenced: Bool) {
    var record = TraceRecord(.fence)
    record.hardware = (phb.index.rawValue, 0)
    record.generation = phb.generation
    record.value = isFenced ? 1 : 0
    append(record, from: origin())
  }
}

extension Transition {
  /// Why pages are dropped.
  var reason: DropReason { isRemoval ? .unplug : kind == .map ? .map : .unmap }

  /// The steps, cut where sources or interrupts do not follow each other.
  fileprivate var hardwareRuns: [ArraySlice<Step>] {
    var runs: [ArraySlice<Step>] = []
    var start = steps.startIndex
    for index in steps.indices.dropFirst() {
      let (last, step) = (steps[index - 1], steps[index])
      let follows =
        step.lisn.rawValue == last.lisn.rawValue + 1 && step.irq.rawValue == last.irq.rawValue &+ 1
      guard !follows else { continue }
      runs.append(steps[start..<index])
      start = index
    }
    return steps.isEmpty ? [] : runs + [steps[start...]]
  }
}
