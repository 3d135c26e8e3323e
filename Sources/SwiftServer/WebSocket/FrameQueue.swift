/// Messages that were received and that no handler has taken yet.
struct FrameQueue {
    /// Reading from the client pauses when this many messages or bytes wait, and resumes at a quarter of it.
    static let pauseAt = 64
    static let pauseAtBytes = 256 << 10

    /// A message, and the ticket of its event.
    typealias Item = (frame: Frame, ticket: UInt32)

    private var items: [Item?] = []
    private var next = 0
    private var bytes = 0

    private var count: Int { items.count - next }
    var isEmpty: Bool { next == items.count }
    var isHigh: Bool { count >= FrameQueue.pauseAt || bytes >= FrameQueue.pauseAtBytes }
    var isLow: Bool { count <= FrameQueue.pauseAt / 4 && bytes <= FrameQueue.pauseAtBytes / 4 }

    mutating func append(_ frame: consuming Frame) {
        bytes += frame.count
        items.append((consume frame, 0))
    }

    /// Sets the ticket of the last message.
    mutating func deferLast(_ ticket: UInt32) { items[items.count - 1]?.ticket = ticket }

    mutating func takeFirst() -> Item? {
        guard next < items.count, let item = items[next].take() else { return nil }
        next += 1
        bytes -= item.frame.count
        if next == items.count {
            items.removeAll(keepingCapacity: count < FrameQueue.pauseAt)
            next = 0
        }
        return item
    }
}
