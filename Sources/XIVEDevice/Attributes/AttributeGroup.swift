internal import PagedDevice

/// One group of attributes, as `KVM_HAS/SET/GET_DEVICE_ATTR` and the inline requests address them.
///
/// An operation that a group does not have is `ENXIO`, the default.
protocol AttributeGroup {
  /// Whether the attribute exists; its value may still be refused.
  func has(_ attribute: UInt64) -> Bool
  /// Sets an attribute.
  /// - Returns: what must be carried out before the caller is answered.
  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  /// Gets an attribute.
  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
}

extension AttributeGroup {
  func set(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError)
    -> Invalidation?
  {
    throw .noSuchAttribute
  }
  func get(_ attribute: UInt64, _ payload: inout AttributePayload) throws(DeviceError) {
    throw .noSuchAttribute
  }
}

/// An attribute's value: behind a pointer into the caller, or inline in the request.
struct AttributePayload {
  /// Where the value is.
  enum Place {
    /// At an address in the caller's memory.
    case pointer(UInt64)
    /// In the request itself.
    case inline([UInt8])
  }

  private(set) var place: Place
  /// The first eight bytes of what was read or written, for those who follow.
  private(set) var head: UInt64 = 0
  let caller: any Caller

  init(_ place: Place, of caller: any Caller) {
    self.place = place
    self.caller = caller
  }

  /// Reads a value of a type from its first byte, in the machine's byte order.
  /// - Throws: `EFAULT` for memory that cannot be read; `EINVAL` for an inline value that is longer than its type.
  mutating func read<Value: BitwiseCopyable>(_ type: Value.Type) throws(DeviceError) -> Value {
    let size = MemoryLayout<Value>.size
    let bytes: [UInt8]
    switch place {
    case .pointer(let address):
      bytes = try caller.read(at: address, byteCount: size)
    case .inline(let data):
      guard data.count >= size, data.dropFirst(size).allSatisfy({ $0 == 0 }) else {
        throw .invalid
      }
      bytes = data
    }
    head = bytes.head
    return bytes.value(at: 0)
  }

  /// Writes a value.
  /// - Throws: `EFAULT` for memory that cannot be written.
  mutating func write<Value: BitwiseCopyable>(_ value: Value) throws(DeviceError) {
    let bytes = unsafe withUnsafeBytes(of: value) { unsafe [UInt8]($0) }
    head = bytes.head
    switch place {
    case .pointer(let address): try caller.write(bytes, at: address)
    case .inline(let data):
      guard bytes.count <= data.count else { throw .invalid }
      place = .inline(bytes + [UInt8](repeating: 0, count: data.count - bytes.count))
    }
  }
}

extension [UInt8] {
  /// The first eight bytes, zeros behind the end, in the machine's byte order.
  var head: UInt64 {
    count >= 8 ? value(at: 0) : (self + [UInt8](repeating: 0, count: 8)).value(at: 0)
  }

  /// Reads a value at a byte offset, in the machine's byte order.
  /// - Precondition: the array holds all of it.
  func value<Value: BitwiseCopyable>(at offset: Int) -> Value {
    precondition(offset + MemoryLayout<Value>.size <= count)
    return unsafe withUnsafeBytes {
      unsafe $0.loadUnaligned(fromByteOffset: offset, as: Value.self)
    }
  }
}
