import Testing
import XIVEModel
import XIVETestSupport

@Suite("Mistakes of the caller end the process")
struct PreconditionTests {
  @Test("An event on a source beyond the table")
  func eventBeyondTable() async {
    await #expect(processExitsWith: .failure) {
      let controller = Controller(count: 64)
      controller.perform(.trigger, on: 64)
    }
  }

  @Test("The state of a source beyond the table")
  func stateBeyondTable() async {
    await #expect(processExitsWith: .failure) {
      _ = Controller(count: 1).state(of: .max)
    }
  }

  @Test("Memory that is one byte too small")
  func memoryTooSmall() async {
    await #expect(processExitsWith: .failure) {
      let memory = AlignedMemory(byteCount: SourceCells.byteCount(for: 1000) - 1)
      _ = unsafe SourceCells(unsafeMemory: memory.unsafeBuffer, count: 1000)
    }
  }

  @Test("No memory at all")
  func noMemory() async {
    await #expect(processExitsWith: .failure) {
      let nothing = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
      _ = unsafe SourceCells(unsafeMemory: nothing, count: 1)
    }
  }

  @Test("The same steps within the table end well")
  func withinTable() async {
    await #expect(processExitsWith: .success) {
      let controller = Controller(count: 64)
      controller.perform(.trigger, on: 63)
      _ = controller.state(of: 63)
    }
  }
}
