import Testing

@testable import SwiftServer

@Suite struct TicketQueueTests {
    @Test func firstInFirstOut() {
        var queue = TicketQueue<Int>()
        for value in 0..<5 { #expect(queue.append(value) == value) }
        #expect(queue.popFirst() == 0)
        #expect(queue.remove(2) == 2)
        #expect(queue.remove(2) == nil && queue.remove(0) == nil && queue.remove(9) == nil)
        #expect(queue.count == 3 && !queue.isEmpty)
        #expect(queue.popFirst() == 1)
        #expect(queue.popFirst() == 3)
        let last = queue.append(5)
        #expect(queue.removeAll { $0 == 4 } == [4])
        #expect(queue.remove(last) == 5)
        #expect(queue.isEmpty && queue.popFirst() == nil)
        let next = queue.append(6)
        queue.removeAll()
        #expect(queue.isEmpty && queue.remove(next) == nil && queue.popFirst() == nil)
        _ = queue.append(7)
        #expect(queue.popFirst() == 7)
    }

    /// Compared with an array.
    @Test func anyOrder() {
        var random = SystemRandomNumberGenerator()
        var queue = TicketQueue<Int>()
        var model: [(ticket: Int, value: Int)] = []
        for value in 0..<5000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: model.append((queue.append(value), value))
            case 5..<7:
                let first = model.isEmpty ? nil : model.removeFirst().value
                #expect(queue.popFirst() == first)
            case 7..<9:
                guard let place = model.indices.randomElement(using: &random) else { break }
                let element = model.remove(at: place)
                #expect(queue.remove(element.ticket) == element.value)
            default:
                let remainder = Int.random(in: 0..<50, using: &random)
                let removed = model.filter { $0.value % 50 == remainder }.map(\.value)
                model.removeAll { $0.value % 50 == remainder }
                #expect(queue.removeAll { $0 % 50 == remainder } == removed)
            }
            #expect(queue.count == model.count)
        }
    }
}
