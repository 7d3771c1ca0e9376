import Glibc
import SystemPackage
import Testing
import XIVEClient
import XIVEModel

/// A device's end of a queue, as the architecture has it: QEMU `hw/intc/xive.c`, `xive_end_enqueue`.
private struct Producer {
  let memory: GuestMemory
  let offset: Int
  let entryCount: Int
  var generation: UInt32 = 1
  var index = 0

  mutating func enqueue(_ eisn: UInt32) {
    memory.setWord(generation << 31 | eisn, at: offset + index * 4)
    index += 1
    guard index == entryCount else { return }
    index = 0
    generation ^= 1
  }
}

@Suite("Event queue")
struct EventQueueTests {
  private static let page = 4_096

  @Test("Entries come in order, each once, with 31 bits, across the end of the queue and back")
  func order() throws {
    let memory = try GuestMemory(byteCount: 2 * Self.page)
    var producer = Producer(memory: memory, offset: Self.page, entryCount: 1_024)
    var queue = try EventQueue(memory, at: Self.page, byteCount: Self.page)
    #expect(queue.entryCount == 1_024)
    #expect(queue.next() == nil)
    for number in 0..<5_000 as Range<UInt32> {
      let eisn = number &* 0x9e37_79b9 & 0x7fff_ffff
      producer.enqueue(eisn)
      #expect(queue.next()?.rawValue == eisn)
      if number % 100 == 0 { #expect(queue.next() == nil) }
    }
    #expect(queue.position == QueuePosition(generation: true, index: 5_000 % 1_024))
    #expect(memory.word(at: 0) == 0 && memory.word(at: Self.page - 4) == 0)
  }

  @Test("A queue that is full to the last entry is read whole, from any place")
  func full() throws {
    let memory = try GuestMemory(byteCount: Self.page)
    for generation in [true, false] {
      for start in [0, 1, 511, 1_022, 1_023] {
        let place = QueuePosition(generation: generation, index: start)
        var queue = try EventQueue(memory, byteCount: Self.page, from: place)
        queue.clear()
        #expect(queue.next() == nil)
        var producer = Producer(
          memory: memory, offset: 0, entryCount: 1_024, generation: generation ? 1 : 0,
          index: start)
        for round in 0..<3 as Range<UInt32> {
          for number in 0..<1_024 as Range<UInt32> { producer.enqueue(round << 16 | number) }
          for number in 0..<1_024 as Range<UInt32> {
            #expect(queue.next()?.rawValue == round << 16 | number)
          }
          #expect(queue.next() == nil)
        }
        // Three times round: at the same entry, of the other generation.
        #expect(queue.position == QueuePosition(generation: !generation, index: start))
      }
    }
  }

  @Test("A consumer that starts again at its position goes on, and misses nothing")
  func resume() throws {
    let memory = try GuestMemory(byteCount: 65_536)
    var producer = Producer(memory: memory, offset: 0, entryCount: 16_384)
    var position = QueuePosition.start
    for number in 0..<40_000 as Range<UInt32> {
      producer.enqueue(number)
      var queue = try EventQueue(memory, from: position)
      try #require(queue.next()?.rawValue == number)
      position = queue.position
    }
    #expect(position == QueuePosition(generation: true, index: 40_000 - 2 * 16_384))
    #expect(producer.generation == 1 && producer.index == position.index)
  }

  @Test("Words are big-endian in memory, as the architecture's")
  func byteOrder() throws {
    let memory = try GuestMemory(byteCount: Self.page)
    memory.setWord(0x8000_0112, at: 4)
    #expect(memory.word(at: 4) == 0x8000_0112)
    let bytes = (4..<8).map { offset in
      unsafe memory.address.load(fromByteOffset: offset, as: UInt8.self)
    }
    #expect(bytes == [0x80, 0, 1, 0x12])
  }

  @Test(
    "A queue that does not lie in its memory is refused",
    arguments: [
      (-4, 4_096), (2, 4_096), (4_100, 4_096), (0, 16_384), (0, 2_048), (0, 6_144), (0, 0),
      (0, -4_096), (.max - 3, 4_096),
    ])
  func place(offset: Int, byteCount: Int) throws {
    let memory = try GuestMemory(byteCount: 8_192)
    let error = refusal { () throws(XIVEClientError) in
      try EventQueue(memory, at: offset, byteCount: byteCount)
    }
    #expect(
      error
        == .delivery(.queueMemory(offset: offset, byteCount: byteCount, memory: 8_192)))
    #expect(error?.errno == .invalidArgument)
    #expect(error?.description.contains("memory of 8192 bytes") == true)
    #expect(
      refusal { () throws(XIVEClientError) in
        try EventQueue(memory, at: 4_096, byteCount: 4_096)
      } == nil)
  }

  @Test("An index that the queue does not have is refused", arguments: [-1, 1_024, .max])
  func index(_ index: Int) throws {
    let memory = try GuestMemory(byteCount: Self.page)
    let place = QueuePosition(generation: true, index: index)
    let error = refusal { () throws(XIVEClientError) in
      try EventQueue(memory, byteCount: Self.page, from: place)
    }
    #expect(error == .value("index", UInt64(clamping: index)))
  }
}

@Suite("Guest memory")
struct GuestMemoryTests {
  @Test("Its size is sealed, and its mapping is of the memory itself")
  func sealed() throws {
    let memory = try GuestMemory(byteCount: 8_192)
    #expect(memory.byteCount == 8_192 && memory.fileOffset == 0)
    #expect(ftruncate(memory.descriptor, 4_096) == -1 && errno == EPERM)
    #expect(ftruncate(memory.descriptor, 16_384) == -1 && errno == EPERM)
    var word: UInt32 = 0
    memory.setWord(0x1234_5678, at: 8_188)
    #expect(unsafe pread(memory.descriptor, &word, 4, 8_188) == 4)
    #expect(UInt32(bigEndian: word) == 0x1234_5678)
  }

  @Test("Memory that exists is mapped from where one says, and its descriptor stays its owner's")
  func existing() throws {
    let memory = try GuestMemory(byteCount: 12_288)
    do {
      let part = try GuestMemory(
        mapping: memory.descriptor, fileOffset: 4_096, byteCount: 8_192)
      #expect(part.byteCount == 8_192 && part.fileOffset == 4_096)
      #expect(part.descriptor != memory.descriptor)
      part.setWord(7, at: 0)
    }
    #expect(memory.word(at: 4_096) == 7)
    #expect(fcntl(memory.descriptor, F_GETFD) & FD_CLOEXEC != 0)
  }

  @Test("What the system refuses is named, with its size")
  func refused() throws {
    for byteCount in [0, -1] {
      let error = refusal { () throws(XIVEClientError) in try GuestMemory(byteCount: byteCount) }
      #expect(error == .delivery(.guestMemory(byteCount: byteCount, .invalidArgument)))
      #expect(error?.description.contains("\(byteCount) bytes") == true)
    }
    let closed = refusal { () throws(XIVEClientError) in
      try GuestMemory(mapping: -1, byteCount: 4_096)
    }
    #expect(closed == .delivery(.guestMemory(byteCount: 4_096, .badFileDescriptor)))
    let memory = try GuestMemory(byteCount: 4_096)
    let unaligned = refusal { () throws(XIVEClientError) in
      try GuestMemory(mapping: memory.descriptor, fileOffset: 100, byteCount: 4_096)
    }
    #expect(unaligned?.errno == .invalidArgument)
  }
}

@Suite("Rings and descriptors, decoded")
struct DeliveryFormatTests {
  @Test("A ring's bytes are where the architecture has them")
  func ring() {
    let ring = RingState(w01: 0x8007_2203_ff05_0602)
    #expect(ring.nsr == 0x80 && ring.cppr == 7 && ring.ipb == 0x22 && ring.pipr == 2)
    #expect(ring.hasInterrupt)
    #expect("\(ring)" == "NSR 80 CPPR 07 IPB 22 PIPR 02")
    #expect(!RingState(w01: 0x7fff_00ff_ff00_ffff).hasInterrupt)
  }

  @Test("An END that enqueues nothing, or is not valid, has no queue")
  func end() {
    var end = END(notifying: 3, 6, queueAddress: 0x12_3456_0000)
    end.queueIndex = 0x3fff
    #expect(end.queue?.address == 0x12_3456_0000)
    #expect(end.queue?.byteCount == 65_536)
    #expect(end.queue?.position == QueuePosition(generation: true, index: 0x3fff))
    end.generation = 0
    #expect(end.queue?.position == QueuePosition(generation: false, index: 0x3fff))
    end.isEnqueued = false
    #expect(end.queue == nil)
    end.isEnqueued = true
    end.isValid = false
    #expect(end.queue == nil)
  }
}
