public import SystemPackage

/// Turns a shim's answer, a result or a negative error number, into a value or an error.
/// - Parameter result: what the shim returned.
/// - Returns: the result, when it is not negative.
/// - Throws: the `Errno` of a negative result.
@discardableResult
public func valueOrErrno<Value: SignedInteger>(_ result: Value) throws(Errno) -> Value {
  guard result >= 0 else { throw Errno(rawValue: CInt(-result)) }
  return result
}
