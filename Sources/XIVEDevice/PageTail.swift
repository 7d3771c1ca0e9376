internal import PagedDevice
internal import XIVEModel

extension PageSignature {
  /// The signature of a source's page.
  init(_ lisn: LISN, _ half: ESBHalf, _ word: BackingWord, at deviceOffset: UInt64) {
    var kind = PageSignature.Backing.ipi
    if case .phb = word.backing { kind = .phb }
    self.init(backing: kind, deviceOffset: deviceOffset)
    self.lisn = lisn.rawValue
    self.half = half.rawValue
    generation = UInt64(word.generation)
    if case .phb(let index, let irq) = word.backing {
      phb = UInt32(index.rawValue)
      hardwareIRQ = UInt32(irq.rawValue)
    }
  }

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
