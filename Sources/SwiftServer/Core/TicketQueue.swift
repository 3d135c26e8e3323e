/// A queue whose elements can be removed at any place. All operations but `removeAll` take constant time on average.
struct TicketQueue<Element> {
    private var elements: [Int: Element] = [:]
    /// No element has a lower ticket.
    private var first = 0
    private var next = 0

    var count: Int { elements.count }
    var isEmpty: Bool { elements.isEmpty }

    /// Adds an element at the end, and returns the ticket by which it can be removed.
    mutating func append(_ element: Element) -> Int {
        defer { next += 1 }
        elements[next] = element
        return next
    }

    /// Removes an element; `nil`: it is gone.
    mutating func remove(_ ticket: Int) -> Element? { elements.removeValue(forKey: ticket) }

    mutating func popFirst() -> Element? {
        while first < next {
            defer { first += 1 }
            if let element = elements.removeValue(forKey: first) { return element }
        }
        return nil
    }

    mutating func removeAll() {
        elements = [:]
        first = next
    }

    /// Removes the elements that fulfil a condition, and returns them in their order.
    mutating func removeAll(where condition: (Element) -> Bool) -> [Element] {
        let tickets = elements.filter { condition($0.value) }.keys.sorted()
        return tickets.compactMap { elements.removeValue(forKey: $0) }
    }
}
