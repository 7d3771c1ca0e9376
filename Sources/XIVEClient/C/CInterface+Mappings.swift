// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

internal import CXIVEClient
internal import DeviceClient
internal import SystemCalls
internal import XIVEModel

/// What an `xive_client_mapping` pointer refers to.
final class MappingHandle: Sendable {
  let region: MappedRegion
  init(_ region: consuming MappedRegion) { self.region = region }

  /// The mapping behind a handle.
  @unsafe
  static func of(_ mapping: OpaquePointer) -> MappingHandle {
    unsafe Unmanaged.fromOpaque(UnsafeRawPointer(mapping)).takeUnretainedValue()
  }
}

/// Maps the kernel's window.
@c @implementation
public func xive_client_map_kernel_window(
  _ client: OpaquePointer, _ pageOffset: UInt64, _ pageCount: UInt64,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe mapKernelWindow(client, pageOffset, pageCount, .mapped, error)
}

/// Maps the kernel's window, trapped.
@c @implementation
public func xive_client_map_kernel_window_trapped(
  _ client: OpaquePointer, _ pageOffset: UInt64, _ pageCount: UInt64,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe mapKernelWindow(client, pageOffset, pageCount, .trapped, error)
}

@unsafe
private func mapKernelWindow(
  _ client: OpaquePointer, _ pageOffset: UInt64, _ pageCount: UInt64, _ access: PageAccess,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe MappingHandle(
      try ClientHandle.of(client).descriptor.mapKernelWindow(
        pageOffset: pageOffset, pageCount: pageCount, access: access))
  }
}

/// Maps both ESB pages of a source.
@c @implementation
public func xive_client_map_source(
  _ client: OpaquePointer, _ lisn: UInt32, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe mapSource(client, lisn, .mapped, error)
}

/// Maps both ESB pages of a source, trapped.
@c @implementation
public func xive_client_map_source_trapped(
  _ client: OpaquePointer, _ lisn: UInt32, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe mapSource(client, lisn, .trapped, error)
}

@unsafe
private func mapSource(
  _ client: OpaquePointer, _ lisn: UInt32, _ access: PageAccess,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe MappingHandle(
      try ClientHandle.of(client).descriptor.mapSource(LISN(rawValue: lisn), access: access))
  }
}

/// Maps the four TIMA pages of the connected vCPU.
@c @implementation
public func xive_client_map_tima(
  _ client: OpaquePointer, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe mapTIMA(client, .mapped, error)
}

/// Maps the four TIMA pages of the connected vCPU, trapped.
@c @implementation
public func xive_client_map_tima_trapped(
  _ client: OpaquePointer, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe mapTIMA(client, .trapped, error)
}

@unsafe
private func mapTIMA(
  _ client: OpaquePointer, _ access: PageAccess, _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    unsafe MappingHandle(try ClientHandle.of(client).descriptor.mapTIMA(access: access))
  }
}

/// Gives the mapping up, which unmaps it.
@c @implementation
public func xive_client_unmap(_ mapping: OpaquePointer?) {
  guard let mapping = unsafe mapping else { return }
  unsafe Unmanaged<MappingHandle>.fromOpaque(UnsafeRawPointer(mapping)).release()
}

/// Where the first mapped page is.
@c @implementation
public func xive_client_mapping_address(_ mapping: OpaquePointer) -> UnsafeMutableRawPointer {
  unsafe MappingHandle.of(mapping).region.address
}

/// How many bytes are mapped.
@c @implementation
public func xive_client_mapping_length(_ mapping: OpaquePointer) -> Int {
  unsafe MappingHandle.of(mapping).region.byteCount
}
