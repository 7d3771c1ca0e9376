internal import CXIVE
internal import DeviceClient
internal import SystemPackage

/// The inline attribute requests: `struct xive_attr` as bytes.
extension DeviceDescriptor {
  /// Sets an attribute to a value.
  func setAttribute<Value: BitwiseCopyable>(_ group: UInt32, _ attribute: UInt64, _ value: Value)
    throws(DeviceClientError)
  {
    var request = xive_attr.bytes(group, attribute, value)
    try control(xive_set_attr_request, &request)
  }

  /// Gets an attribute's value.
  func attribute<Value: BitwiseCopyable>(_ group: UInt32, _ attribute: UInt64)
    throws(DeviceClientError) -> Value
  {
    // Most have no query: zeros.
    try self.attribute(group, attribute, of: UInt64(0))
  }

  /// Gets an attribute's value for a query that takes its place.
  func attribute<Value: BitwiseCopyable>(
    _ group: UInt32, _ attribute: UInt64, of query: some BitwiseCopyable
  ) throws(DeviceClientError) -> Value {
    var request = xive_attr.bytes(group, attribute, query)
    try control(xive_get_attr_request, &request)
    return unsafe request.withUnsafeBytes { bytes in
      unsafe bytes.loadUnaligned(fromByteOffset: xive_attr.data, as: Value.self)
    }
  }

  /// Sets an attribute; `words` says in this module's terms what a refusal means.
  func set(
    _ group: UInt32, _ attribute: UInt64, _ value: some BitwiseCopyable,
    _ words: (Errno) -> XIVEClientError?
  ) throws(XIVEClientError) {
    do { try setAttribute(group, attribute, value) } catch {
      throw words(error.errno) ?? .device(error)
    }
  }

  /// Gets an attribute for a query; `words` as above.
  func get<Value: BitwiseCopyable>(
    _ group: UInt32, _ attribute: UInt64, _ query: some BitwiseCopyable,
    _ words: (Errno) -> XIVEClientError?
  ) throws(XIVEClientError) -> Value {
    do { return try self.attribute(group, attribute, of: query) } catch {
      throw words(error.errno) ?? .device(error)
    }
  }

  /// Gets an attribute; `words` as above.
  func get<Value: BitwiseCopyable>(
    _ group: UInt32, _ attribute: UInt64, _ words: (Errno) -> XIVEClientError? = { _ in nil }
  ) throws(XIVEClientError) -> Value {
    do { return try self.attribute(group, attribute) } catch {
      throw words(error.errno) ?? .device(error)
    }
  }
}

extension xive_attr {
  /// Where the payload begins.
  fileprivate static let data = 16

  fileprivate static func bytes(_ group: UInt32, _ attribute: UInt64, _ value: some BitwiseCopyable)
    -> [UInt8]
  {
    var request = xive_attr()
    request.group = group
    request.attr = attribute
    var bytes = unsafe withUnsafeBytes(of: request) { bytes in unsafe [UInt8](bytes) }
    unsafe withUnsafeBytes(of: value) { value in
      unsafe bytes.replaceSubrange(data..<data + value.count, with: value)
    }
    return bytes
  }
}
