/// What a load or a store through a mapping's pointer is.
///
/// The third kind of access, exact by a call, is ``DeviceDescriptor/load(at:byteCount:)``. Sources: those of the article
/// <doc:Trapped-Windows>.
public enum PageAccess: Sendable {
  /// A touch of the page's image, which is memory: stores reach the device later. Costs nothing more.
  case mapped
  /// One exact operation of the device, in unmodified code: the touch traps, is decoded and performed, and the program
  /// goes on with the result in its registers.
  ///
  /// On x86-64. Moves of 1, 2, 4 and 8 bytes between memory and general registers, and what compilers fold a load
  /// into; a locked operation is `SIGBUS`, anything else a line on standard error and the program's own `SIGSEGV`.
  /// What the device refuses, or a server that is gone, is `SIGBUS` at the address that was touched; an absent page
  /// gives all ones.
  ///
  /// Each load or store instruction is an operation of its own. ``/SystemCalls/MappedRegion/load(at:)`` and
  /// ``/SystemCalls/MappedRegion/store(_:at:)`` are one each, and so is a typed pointer's `pointee` where the optimizer
  /// leaves it; `storeBytes(of:as:)` may be compiled to several (a `memcpy`, in debug builds), as may `memcpy` in C.
  ///
  /// The handler of `SIGSEGV` is the process's own from the first such mapping on; one that was there before takes what
  /// is no touch of a window. A thread that touches a window must not block `SIGSEGV`, and who installs another
  /// handler afterwards has to call the one that was there: with `libxive-trap.so` linked or preloaded neither is
  /// needed. System calls that are given such an address answer `EFAULT`, as for any page without rights.
  case trapped
}
