/// The messages of a ``WebSocket``, up to its close: what ``WebSocket/frames`` returns.
public struct Frames: AsyncSequence, Sendable {
    /// A message.
    public typealias Element = Frame

    let socket: WebSocket
    let maxSize: Int?

    /// Starts to take messages. Two iterators of one connection share its messages.
    public func makeAsyncIterator() -> Iterator { Iterator(socket: socket, maxSize: maxSize) }

    /// Takes one message after the other.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        let socket: WebSocket
        let maxSize: Int?

        /// The next message, `nil` after the close; see ``WebSocket/recv(timeout:)``.
        public mutating func next() async throws -> Frame? {
            guard let frame = try await socket.recv() else { return nil }
            return accept(frame)
        }

        /// The next message, on the actor of its caller.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Frame? {
            guard let frame = try await socket.recv() else { return nil }
            return accept(frame)
        }

        /// Ends the sequence, and the connection, with a message that is too large.
        @inline(__always)
        private func accept(_ frame: Frame) -> Frame? {
            guard let maxSize, frame.bytes.count > maxSize else { return frame }
            socket.close(code: 1009, reason: "the message is larger than \(maxSize) bytes")
            return nil
        }
    }
}
