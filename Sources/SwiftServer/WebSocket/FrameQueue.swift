/// Messages that were received and that no handler has taken yet.
struct FrameQueue {
    /// Reading from the client pauses when this many messages or bytes wait, and resumes at a quarter of it.
    static let pauseAt = 64
    static let pauseAtBytes = 256 << 10

    private var frames: [Frame?] = []
    private var next = 0
    private var bytes = 0

    private var count: Int { frames.count - next }
    var isEmpty: Bool { next == frames.count }
    var isHigh: Bool { count >= FrameQueue.pauseAt || bytes >= FrameQueue.pauseAtBytes }
    var isLow: Bool { count <= FrameQueue.pauseAt / 4 && bytes <= FrameQueue.pauseAtBytes / 4 }

    mutating func append(_ frame: Frame) {
        frames.append(frame)
        bytes += frame.bytes.count
    }

    mutating func takeFirst() -> Frame? {
        guard next < frames.count, let frame = frames[next].take() else { return nil }
        next += 1
        bytes -= frame.bytes.count
        if next == frames.count {
            frames.removeAll(keepingCapacity: count < FrameQueue.pauseAt)
            next = 0
        }
        return frame
    }

    mutating func removeAll() { self = FrameQueue() }
}
