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
        @usableFromInline let socket: WebSocket
        @usableFromInline let maxSize: Int?

        /// The next message, `nil` after the close; see ``WebSocket/recv(timeout:)``.
        public mutating func next() async throws -> Frame? { try await wait() }

        /// The next message. Like the other form this stays on the actor of its caller, without a look at which one
        /// that is. It is compiled into the caller's loop, where a message that is there costs no asynchronous call.
        @inlinable @inline(__always)
        public mutating func next(isolation actor: (any Actor)?) async throws -> Frame? {
            if maxSize == nil {
                if let frame = socket.takeReceived() { return frame }
                if socket.mayPark(), let frame = await socket.park() { return frame }
            }
            return try await wait()
        }

        @usableFromInline func wait() async throws -> Frame? {
            guard let frame = try await socket.recv() else { return nil }
            return accept(frame)
        }

        /// Ends the sequence, and the connection, with a message that is too large.
        @inline(__always)
        private func accept(_ frame: Frame) -> Frame? {
            guard let maxSize, frame.count > maxSize else { return frame }
            socket.close(code: 1009, reason: "the message is larger than \(maxSize) bytes")
            return nil
        }
    }
}
