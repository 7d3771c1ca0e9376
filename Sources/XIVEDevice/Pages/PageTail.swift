internal import PagedDevice
internal import XIVEModel

extension PageSignature {
  /// The signature of a TIMA page that no vCPU is behind.
  init(unconnected view: TIMAView, at deviceOffset: UInt64) {
    self.init(backing: .tima, deviceOffset: deviceOffset)
    half = view.rawValue
  }

  /// The signature as it lies in an image.
  var tail: PageImage.Tail {
    let words = registers
    return .init { words[$0].bigEndian }
  }
}
