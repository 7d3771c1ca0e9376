/// The process that a request comes from: its memory, read and written as the kernel would, and its descriptors.
///
/// Thread rule: only while the request is being handled, on the thread that handles it; the calls may wait
/// for the caller's pages, even for pages of the device itself.
public protocol Caller {
  /// Who it is, for a log: "process 4711 (qemu)".
  var name: String { get }

  /// Reads the caller's memory.
  /// - Parameters:
  ///   - address: an address in the caller.
  ///   - byteCount: how much to read.
  /// - Returns: exactly so many bytes.
  /// - Throws: ``DeviceError/badAddress`` when not all of it can be read.
  func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8]

  /// Writes the caller's memory.
  /// - Parameters:
  ///   - bytes: what to write.
  ///   - address: an address in the caller.
  /// - Throws: ``DeviceError/badAddress`` when not all of it can be written.
  func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError)

  /// Maps memory that the caller shares by a descriptor, for reading and writing.
  /// - Parameters:
  ///   - descriptor: a descriptor of the caller's, of a memfd that is sealed against shrinking.
  ///   - offset: where in it the part begins, in bytes; a multiple of the system's page size.
  ///   - byteCount: bytes to map, more than 0.
  /// - Returns: the memory; it stays mapped for as long as somebody holds it, whatever the caller does.
  /// - Throws: ``DeviceError/badDescriptor`` for a descriptor that is not open, ``DeviceError/notPermitted`` where
  ///   the server may not take it, ``DeviceError/invalid`` for one that is no memfd, may shrink, lies in huge pages of
  ///   the system's pool (which may run out under a hole), cannot be written, or is smaller than that.
  func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
    -> any SharedMemory

  /// Whether a descriptor of the caller's is one of this device's file.
  /// - Parameter descriptor: a descriptor of the caller's.
  /// - Returns: false for another file.
  /// - Throws: ``DeviceError/badDescriptor`` for a descriptor that is not open, ``DeviceError/notPermitted`` where
  ///   the server may not look.
  func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool

  /// Takes an eventfd of the caller's, which both have from then on.
  /// - Parameter descriptor: a descriptor of the caller's.
  /// - Returns: the eventfd; given back when nobody holds it any more.
  /// - Throws: ``DeviceError/badDescriptor`` for a descriptor that is not open, ``DeviceError/notPermitted`` where
  ///   the server may not take it, ``DeviceError/invalid`` for one that is no eventfd, ``DeviceError/outOfMemory``
  ///   when the server has no descriptors left.
  func event(_ descriptor: Int32) throws(DeviceError) -> any SharedEvent
}

/// Memory that a caller shares with the device.
public protocol SharedMemory: AnyObject, Sendable {
  /// The memory; it can be used for as long as this object lives.
  ///
  /// Others write it at any time: only atomic accesses, or single ones, mean anything.
  var bytes: UnsafeMutableRawBufferPointer { get }
}

/// An eventfd that a caller shares with the device.
///
/// Thread rule: safe from any thread.
public protocol SharedEvent: AnyObject, Sendable {
  /// Which eventfd it is, by whatever descriptor it was taken: equal for the same one for as long as either is held.
  var identity: UInt64 { get }

  /// Adds one to its counter, which wakes those who wait for it. Does not wait: a counter that is full stays so.
  func raise()

  /// Has a function called when the counter is above zero, after it was read and so cleared.
  ///
  /// Soon, too, when it is above zero already. One call at a time, on a thread that serves no requests; an eventfd
  /// that was raised often before it was read means one call (each raise, for `EFD_SEMAPHORE`).
  /// - Parameter handler: must not wait for a request, nor for ``stopListening(draining:)``.
  /// - Throws: ``DeviceError/outOfMemory`` when the system cannot watch one more, ``DeviceError/busy`` when somebody
  ///   listens already.
  func listen(_ handler: @escaping @Sendable () -> Void) throws(DeviceError)

  /// Ends that: when this returns the function is not running and will not be called.
  ///
  /// Waits for a call that is under way. Does nothing when nobody listens.
  /// - Parameter draining: whether the function is called once more, by the calling thread, when the counter is above
  ///   zero.
  func stopListening(draining: Bool)
}
