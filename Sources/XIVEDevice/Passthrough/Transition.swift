internal import PagedDevice
internal import XIVEModel

/// A change of backings on its way: published, while pages of before may still be reachable.
///
/// Constant but for what has been settled early.
final class Transition: @unchecked Sendable {
  /// What happens to one source.
  struct Step {
    let lisn: LISN
    let old: BackingWord
    let new: BackingWord
    /// The PHB's interrupt that begins or ends to serve the source.
    let irq: HardwareIRQ
  }

  enum Kind { case map, unmap }

  let kind: Kind
  /// In ascending order of sources.
  let steps: [Step]
  /// The PHB; its object outlives its place in the table here.
  let phb: PHB
  /// Whether the PHB goes with its mappings.
  let isRemoval: Bool
  /// Further sources whose pages are dropped with those of the steps, for they may still be the PHB's.
  let others: [LISN]
  /// Who asked for it; nil while nobody follows.
  let origin: TraceOrigin?
  // @unchecked Sendable: the hot-plug lock guards it.
  /// The sources of which another change has settled the step before this one came to its end.
  var settledEarly: Set<LISN> = []

  init(
    _ kind: Kind, _ steps: [Step], _ phb: PHB, isRemoval: Bool = false, others: [LISN] = [],
    origin: TraceOrigin? = nil
  ) {
    self.origin = origin
    self.kind = kind
    self.steps = steps
    self.phb = phb
    self.isRemoval = isRemoval
    self.others = others
  }

  /// The backing of before of a source, or nil when it is not part of this.
  func old(_ lisn: LISN) -> BackingWord? {
    var low = 0
    var high = steps.count
    while low < high {
      let middle = (low + high) / 2
      if steps[middle].lisn < lisn { low = middle + 1 } else { high = middle }
    }
    return low < steps.count && steps[low].lisn == lisn ? steps[low].old : nil
  }

  /// The steps of another change that concern a source or an interrupt of this one, or the PHB that it takes away.
  ///
  /// Those alone: what is stored to an old page of another source must not suffer.
  func steps(sharedBy other: Transition) -> [Step] {
    let isSamePHB = phb === other.phb
    let irqs = isSamePHB && !isRemoval ? Set(steps.map(\.irq)) : []
    return other.steps.filter { step in
      old(step.lisn) != nil || isSamePHB && (isRemoval || irqs.contains(step.irq))
    }
  }

  /// The runs of consecutive sources whose pages have to be dropped.
  var runs: [Range<UInt32>] {
    var runs: [Range<UInt32>] = []
    let lisns = steps.map(\.lisn)
    for number in (others.isEmpty ? lisns : Set(lisns + others).sorted()).map(\.rawValue) {
      if let last = runs.last, last.upperBound == number {
        runs[runs.count - 1] = last.lowerBound..<number + 1
      } else {
        runs.append(number..<number + 1)
      }
    }
    return runs
  }
}
