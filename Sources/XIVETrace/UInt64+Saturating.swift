extension FixedWidthInteger {
  /// Adds what may be anything, for it comes from a file: to the largest number and no further.
  mutating func addSaturating(_ other: Self) {
    let (sum, overflow) = addingReportingOverflow(other)
    self = overflow ? .max : sum
  }
}
