// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

internal import CXIVEClient
internal import Synchronization
internal import XIVEModel

/// What an `xive_client_queue` pointer refers to: header functions are safe from several threads.
private final class QueueHandle: Sendable {
  let queue: Mutex<EventQueue>
  init(_ queue: consuming sending EventQueue) { self.queue = Mutex(queue) }

  /// The queue behind a handle.
  @unsafe
  static func of(_ queue: OpaquePointer) -> QueueHandle {
    unsafe Unmanaged.fromOpaque(UnsafeRawPointer(queue)).takeUnretainedValue()
  }
}

extension GuestMemory {
  /// The memory behind a handle.
  @unsafe
  static func of(_ memory: OpaquePointer) -> GuestMemory {
    unsafe Unmanaged.fromOpaque(UnsafeRawPointer(memory)).takeUnretainedValue()
  }
}

// MARK: - Guest memory

/// Creates memory of zeros.
@c @implementation
public func xive_client_memory_create(_ size: Int, _ error: UnsafeMutablePointer<CInt>?)
  -> OpaquePointer?
{
  unsafe handle(error) { () throws(XIVEClientError) in try GuestMemory(byteCount: size) }
}

/// Maps memory that the caller has already.
@c @implementation
public func xive_client_memory_map(
  _ fd: CInt, _ offset: UInt64, _ size: Int, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    try GuestMemory(mapping: fd, fileOffset: offset, byteCount: size)
  }
}

/// Where the memory is mapped.
@c @implementation
public func xive_client_memory_address(_ memory: OpaquePointer) -> UnsafeMutableRawPointer {
  unsafe GuestMemory.of(memory).address
}

/// Gives the memory up, which unmaps it when no queue uses it.
@c @implementation
public func xive_client_memory_destroy(_ memory: OpaquePointer?) {
  guard let memory = unsafe memory else { return }
  unsafe Unmanaged<GuestMemory>.fromOpaque(UnsafeRawPointer(memory)).release()
}

/// Shows the device a part of the memory.
@c @implementation
public func xive_client_add_memory(
  _ client: OpaquePointer, _ slot: UInt32, _ guestAddress: UInt64, _ memory: OpaquePointer,
  _ offset: UInt64, _ size: UInt64
) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in
    try device.addMemory(
      unsafe GuestMemory.of(memory), slot: slot, at: guestAddress, offset: offset, byteCount: size)
  }
}

/// Takes a slot's memory from the device.
@c @implementation
public func xive_client_remove_memory(_ client: OpaquePointer, _ slot: UInt32) -> CInt {
  unsafe status(client) { device throws(XIVEClientError) in try device.removeMemory(slot: slot) }
}

// MARK: - Event queue

/// Takes a place in guest memory for a queue.
@c @implementation
public func xive_client_queue_create(
  _ memory: OpaquePointer, _ offset: UInt64, _ shift: UInt32, _ toggle: UInt32, _ index: UInt32,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    guard toggle <= 1 else { throw .value("toggle", UInt64(toggle)) }
    return unsafe QueueHandle(
      try EventQueue(
        .of(memory), at: Int(clamping: offset), byteCount: shift < 63 ? 1 << shift : .max,
        from: QueuePosition(generation: toggle == 1, index: Int(index))))
  }
}

/// Takes the next entry.
@c @implementation
public func xive_client_queue_next(
  _ queue: OpaquePointer, _ eisn: UnsafeMutablePointer<UInt32>
) -> Bool {
  guard let next = unsafe QueueHandle.of(queue).queue.withLock({ $0.next() }) else { return false }
  unsafe eisn.pointee = next.rawValue
  return true
}

/// Where the next entry will be.
@c @implementation
public func xive_client_queue_position(
  _ queue: OpaquePointer, _ toggle: UnsafeMutablePointer<UInt32>,
  _ index: UnsafeMutablePointer<UInt32>
) {
  let position = unsafe QueueHandle.of(queue).queue.withLock { $0.position }
  unsafe toggle.pointee = position.generation ? 1 : 0
  unsafe index.pointee = UInt32(position.index)
}

/// Makes all entries old.
@c @implementation
public func xive_client_queue_clear(_ queue: OpaquePointer) {
  unsafe QueueHandle.of(queue).queue.withLock { $0.clear() }
}

/// Frees the queue's handle.
@c @implementation
public func xive_client_queue_destroy(_ queue: OpaquePointer?) {
  guard let queue = unsafe queue else { return }
  unsafe Unmanaged<QueueHandle>.fromOpaque(UnsafeRawPointer(queue)).release()
}
