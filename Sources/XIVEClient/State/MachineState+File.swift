internal import CSystemCalls
internal import SystemCalls
internal import SystemPackage

/// A state in a file: see <doc:Saved-State> for its bytes.
extension MachineState {
  /// Reads a saved state. All of the file is checked before anything of it is used.
  /// - Parameter path: the file.
  /// - Throws: ``XIVEClientError/stateFile(_:_:)``.
  public init(contentsOf path: String) throws(XIVEClientError) {
    do { self = try Self(fileBytes: Self.bytes(of: path)) } catch { throw .stateFile(path, error) }
  }

  /// Writes the state to a file, which takes its place when it is whole and the disk has it, readable for its owner
  /// alone.
  /// - Parameter path: where; a file that is there is replaced.
  /// - Returns: the number of bytes.
  /// - Throws: ``XIVEClientError/stateFile(_:_:)``; what was there is still there then.
  @discardableResult
  public func write(to path: String) throws(XIVEClientError) -> Int {
    try StateFile(path).write(self)
  }

  /// The whole file; one that is too large for a state is not read.
  private static func bytes(of path: String) throws(StateFileError) -> [UInt8] {
    do {
      // Before it is opened: that of a FIFO would wait for a writer.
      let status = try FileStatus(ofPath: path)
      guard status.isRegularFile else {
        throw status.isDirectory ? Errno.isDirectory : Errno.invalidArgument
      }
      let file = try OwnedDescriptor(opening: path, [])
      let size = try file.status().byteCount
      // Of what is too large as much as tells that it is no state, or one of another version.
      let isTooLarge = size > StateFormat.largest
      var bytes = [UInt8](
        repeating: 0, count: isTooLarge ? StateFormat.headerByteCount : Int(size))
      let count = try fill(&bytes, from: file)
      bytes.removeLast(bytes.count - count)
      guard isTooLarge else { return bytes }
      try checkHead(bytes)
      throw StateFileError.length(
        expected: min(bytes.number(at: 16), UInt64(StateFormat.largest)), found: UInt64(size))
    } catch let error as Errno { throw .reading(error) } catch let error as StateFileError {
      throw error
    } catch { throw .reading(.ioError) }
  }

  /// Reads into an array from the file's beginning on.
  /// - Returns: the number of bytes, fewer when the file ends.
  private static func fill(_ bytes: inout [UInt8], from file: borrowing OwnedDescriptor)
    throws(Errno) -> Int
  {
    var count = 0
    while count < bytes.count {
      let start = count
      let moved = unsafe bytes.withUnsafeMutableBytes { all in
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: all[start...])
        return unsafe csystem_pread(file.rawValue, rest.baseAddress, rest.count, UInt64(start))
      }
      if moved == 0 { break }
      count += try valueOrErrno(moved)
    }
    return count
  }
}

/// A file that a state is to be saved in, so that a place that cannot be written is found before the machine is
/// stopped.
public struct StateFile: ~Copyable {
  /// Where.
  public let path: String
  private var file: ReplacementFile

  /// Prepares the file beside its place.
  /// - Parameter path: where; a file that is there is replaced in the end.
  /// - Throws: ``XIVEClientError/stateFile(_:_:)``.
  public init(_ path: String) throws(XIVEClientError) {
    do { file = try ReplacementFile(for: path) } catch { throw .stateFile(path, .writing(error)) }
    self.path = path
  }

  /// Writes a state and puts the file in its place.
  /// - Parameter state: the state.
  /// - Returns: the number of bytes.
  /// - Throws: ``XIVEClientError/stateFile(_:_:)``; what was there is still there then.
  @discardableResult
  public consuming func write(_ state: MachineState) throws(XIVEClientError) -> Int {
    let path = self.path
    do { try state.check() } catch { throw .stateFile(path, error) }
    let bytes = state.fileBytes
    do {
      try file.write(bytes)
      try file.commit()
    } catch { throw .stateFile(path, .writing(error)) }
    return bytes.count
  }
}
