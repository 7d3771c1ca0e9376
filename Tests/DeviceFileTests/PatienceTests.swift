import Testing

@testable import DeviceFile

@Suite("Patience")
struct PatienceTests {
  @Test("A toucher that comes back in time is looked for every time")
  func success() {
    var patience = Patience(limit: 200)
    for _ in 0..<1_000 {
      #expect(patience.looks == 200)
      patience.succeeded()
    }
  }

  @Test(
    "After each failure in a row it sleeps without a look for about twice as long, up to 127 times")
  func failures() {
    var patience = Patience(limit: 200)
    var pauses: [Int] = []
    while pauses.count < 9 {
      #expect(patience.looks == 200)
      patience.failed()
      var pause = 0
      while patience.looks == 0 {
        patience.failed()
        pause += 1
      }
      pauses.append(pause)
    }
    #expect(pauses == [1, 3, 7, 15, 31, 63, 127, 127, 127])
  }

  @Test("One success restores it")
  func recovery() {
    var patience = Patience(limit: 200)
    for _ in 0..<1_000 { patience.failed() }
    while patience.looks == 0 { patience.failed() }
    patience.succeeded()
    patience.failed()
    patience.failed()
    #expect(patience.looks == 200)
  }

  @Test("Without a limit it never looks")
  func none() {
    var patience = Patience(limit: 0)
    for _ in 0..<300 {
      #expect(patience.looks == 0)
      patience.failed()
    }
  }
}
