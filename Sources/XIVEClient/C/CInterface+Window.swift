// swift-format-ignore-file: AlwaysUseLowerCamelCase, the names are the header's

public import CXIVE
internal import CXIVEClient
internal import DeviceClient
internal import XIVEModel

/// What an `xive_client_window` pointer refers to.
private final class WindowHandle: Sendable {
  let window: GuestWindow
  init(_ window: consuming GuestWindow) { self.window = window }

  /// The window behind a handle.
  @unsafe
  static func of(_ window: OpaquePointer) -> WindowHandle {
    unsafe Unmanaged.fromOpaque(UnsafeRawPointer(window)).takeUnretainedValue()
  }
}

/// Maps the pages of a run of sources.
@c @implementation
public func xive_client_window_create(
  _ client: OpaquePointer, _ region: UInt32, _ firstLISN: UInt32, _ count: UInt32,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    try unsafe makeWindow(client, region, firstLISN, count, .mapped)
  }
}

/// Maps the pages of a run of sources, trapped.
@c @implementation
public func xive_client_window_create_trapped(
  _ client: OpaquePointer, _ region: UInt32, _ firstLISN: UInt32, _ count: UInt32,
  _ error: UnsafeMutablePointer<CInt>?
) -> OpaquePointer? {
  unsafe handle(error) { () throws(XIVEClientError) in
    try unsafe makeWindow(client, region, firstLISN, count, .trapped)
  }
}

@unsafe
private func makeWindow(
  _ client: OpaquePointer, _ region: UInt32, _ firstLISN: UInt32, _ count: UInt32,
  _ access: PageAccess
) throws(XIVEClientError) -> WindowHandle {
  let base: GuestWindow.Base? =
    [XIVE_REGION_ESB: .esb, XIVE_REGION_KERNEL: .kernel][region]
  guard let base else { throw .value("region", UInt64(region)) }
  let first = LISN(rawValue: firstLISN)
  let end = LISN(rawValue: UInt32(clamping: UInt64(firstLISN) + UInt64(count)))
  return unsafe WindowHandle(
    try GuestWindow(ClientHandle.of(client).descriptor, first..<end, in: base, access: access))
}

/// Shows a PHB's pages in place of a run of sources' pages.
@c @implementation
public func xive_client_window_plug(
  _ window: OpaquePointer, _ firstLISN: UInt32, _ run: UnsafePointer<xive_passthrough>
) -> CInt {
  status { () throws(XIVEClientError) in
    let run = try PassthroughRun(firstLISN, unsafe run.pointee, flags: 0)
    try unsafe WindowHandle.of(window).window.plug(run)
  }
}

/// Brings the sources' own pages back.
@c @implementation
public func xive_client_window_unplug(
  _ window: OpaquePointer, _ firstLISN: UInt32, _ run: UnsafePointer<xive_passthrough>
) -> CInt {
  status { () throws(XIVEClientError) in
    let run = try PassthroughRun(firstLISN, unsafe run.pointee, flags: 0)
    try unsafe WindowHandle.of(window).window.unplug(run)
  }
}

/// Where the window begins.
@c @implementation
public func xive_client_window_address(_ window: OpaquePointer) -> UnsafeMutableRawPointer {
  unsafe WindowHandle.of(window).window.address
}

/// How many bytes are mapped.
@c @implementation
public func xive_client_window_length(_ window: OpaquePointer) -> Int {
  unsafe WindowHandle.of(window).window.byteCount
}

/// Gives the window up, which unmaps it.
@c @implementation
public func xive_client_window_destroy(_ window: OpaquePointer?) {
  guard let window = unsafe window else { return }
  unsafe Unmanaged<WindowHandle>.fromOpaque(UnsafeRawPointer(window)).release()
}
