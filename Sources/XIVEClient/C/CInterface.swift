internal import CSystemCalls
internal import SystemPackage

// The functions of `xive_client.h`, which documents them: handles in and out, errors as numbers. What they
// do is XIVEDescriptor's business.

/// What an `xive_client` pointer refers to.
final class ClientHandle: Sendable {
  let descriptor: XIVEDescriptor
  init(_ descriptor: consuming XIVEDescriptor) { self.descriptor = descriptor }

  /// The client behind a handle.
  @unsafe
  static func of(_ client: OpaquePointer) -> ClientHandle {
    unsafe Unmanaged.fromOpaque(UnsafeRawPointer(client)).takeUnretainedValue()
  }
}

/// Performs a call that makes a handle.
/// - Returns: the handle, owned by the caller, or nil with the reason left in `error`.
@unsafe
func handle(
  _ error: UnsafeMutablePointer<CInt>?, _ make: () throws(XIVEClientError) -> some AnyObject
) -> OpaquePointer? {
  do {
    return unsafe OpaquePointer(Unmanaged.passRetained(try make()).toOpaque())
  } catch let failure {
    let number = keep(failure)
    unsafe error?.pointee = number
    return nil
  }
}

/// Performs a call that answers 0 or a negative error number.
@unsafe
func status(
  _ client: OpaquePointer, _ body: (borrowing XIVEDescriptor) throws(XIVEClientError) -> Void
) -> CInt {
  status { () throws(XIVEClientError) in
    try body(unsafe ClientHandle.of(client).descriptor)
  }
}

/// The same for a call on another handle.
func status(_ body: () throws(XIVEClientError) -> Void) -> CInt {
  do {
    try body()
    return 0
  } catch { return keep(error) }
}

/// Keeps an error's words for this thread.
/// - Returns: its negative error number.
private func keep(_ error: XIVEClientError) -> CInt {
  unsafe csystem_keep_message(error.description)
  return -error.errno.rawValue
}
