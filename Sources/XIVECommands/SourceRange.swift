internal import ArgumentParser
internal import XIVEModel

/// An argument of `--create`: `16`, `0x10-0x1f`, `0x1200-0x120f:lsi`.
struct SourceRange: ExpressibleByArgument, Hashable {
  let range: ClosedRange<UInt32>
  let isLSI: Bool

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 1 || parts.count == 2 && (parts[1] == "lsi" || parts[1] == "msi") else {
      return nil
    }
    let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
      .map { OffsetName.number(String($0)).flatMap(UInt32.init(exactly:)) }
    guard let first = ends[0], let last = ends[ends.count - 1], ends.count <= 2, first <= last
    else {
      return nil
    }
    range = first...last
    isLSI = parts.count == 2 && parts[1] == "lsi"
  }
}
