import Testing

@testable import XIVECommands

@Suite("Which refusals are logged")
struct RefusalLogTests {
  @Test("Each reason once in its time, and again after it")
  func each() {
    var news = News<Int>(pause: 10, limit: 4)
    func tell(_ reason: Int, at time: UInt64, isNews: Bool) {
      let found = news.isNews(reason, at: time)
      #expect(found == isNews, "\(reason) at \(time)")
    }
    tell(1, at: 100, isNews: true)
    tell(1, at: 109, isNews: false)
    tell(2, at: 109, isNews: true)
    tell(1, at: 110, isNews: true)
    tell(1, at: 119, isNews: false)
    tell(2, at: 118, isNews: false)
  }

  @Test("However many reasons there are, no more than the limit is logged in that time")
  func all() {
    var news = News<Int>(pause: 10, limit: 4)
    var logged: [UInt64: [Int]] = [:]
    for time in 0..<40 as Range<UInt64> {
      for reason in 0..<100 where news.isNews(reason, at: 1_000 + time) {
        logged[time, default: []].append(reason)
      }
    }
    #expect(logged == [0: [0, 1, 2, 3], 10: [0, 1, 2, 3], 20: [0, 1, 2, 3], 30: [0, 1, 2, 3]])
  }

  @Test("One that comes seldom has its turn when the others' time is over")
  func makesRoom() {
    var news = News<Int>(pause: 10, limit: 2)
    func tell(_ reason: Int, at time: UInt64, isNews: Bool) {
      let found = news.isNews(reason, at: time)
      #expect(found == isNews, "\(reason) at \(time)")
    }
    tell(1, at: 0, isNews: true)
    tell(2, at: 5, isNews: true)
    tell(3, at: 9, isNews: false)
    tell(3, at: 10, isNews: true)
    tell(1, at: 11, isNews: false)
    tell(2, at: 14, isNews: false)
    tell(1, at: 15, isNews: true)
  }
}
