import Testing

@testable import SwiftServer

@Suite struct LogLimitTests {
    @Test func oneLineInAnInterval() {
        let (limit, start) = (LogLimit(.seconds(10)), ContinuousClock.now)
        #expect(limit.ending(at: start) == "")
        for second in 1...9 { #expect(limit.ending(at: start + .seconds(second)) == nil) }
        #expect(limit.ending(at: start + .seconds(10)) == " (and 9 before)")
        #expect(limit.ending(at: start + .seconds(19)) == nil)
        #expect(limit.ending(at: start + .seconds(40)) == " (and 1 before)")
        #expect(limit.ending(at: start + .seconds(60)) == "")
    }
}
