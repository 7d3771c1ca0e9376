public import SystemPackage

/// Why an overlay was refused; but for one case the mapping is as it was.
public enum OverlayError: Error, Hashable, Sendable {
  /// The place, or a part of it, is taken by another.
  case overlaps(Range<Int>)
  /// No overlay has exactly that place.
  case notLaid(Range<Int>)
  /// It is empty, does not lie within the mapping, or is not made of whole device pages.
  case place(byteOffset: Int, byteCount: Int)
  /// The system refuses it.
  case system(Errno)
  /// The system refuses it, and refuses to take back what is there already: the overlay counts as laid, in part,
  /// and has to be lifted. Other threads have used up the process's last mappings meanwhile.
  case incomplete(Errno)
}
