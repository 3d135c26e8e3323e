import SwiftServer
import TestProtocol

/// A WebSocket client of the fixture server.
typealias WebSocketClient = RawWebSocket

extension WebSocketClient {
    convenience init(port: Int, welcome: Bool = true) throws {
        self.init(try Connection(port: port))
        try connection.send(WebSocketClient.handshake)
        try finishHandshake()
        if welcome { try takeWelcome() }
    }

    func takeWelcome() throws {
        let message = try receive()
        guard case .text(let text) = message, let welcome = try? decoded(Welcome.self, text) else {
            throw TestFailure("no welcome but \(message)")
        }
        fd = welcome.fd
    }

    func send(_ command: Command) throws { try send(encoded(command)) }

    // MARK: Commands

    /// Sends a command; the next message must be its answer.
    func ask<Value: Codable & Sendable>(_ command: Command) throws -> Value {
        try send(command)
        return try answer()
    }

    /// The answer in the next message.
    func answer<Value: Codable & Sendable>() throws -> Value {
        let text = try receiveText()
        guard let answer = try? decoded(Answer<Value>.self, text) else {
            throw TestFailure("no answer of type \(Value.self) but \(text)")
        }
        return answer.answer
    }

    /// Sends a command; the next two messages must be its answer and another text, in either order.
    func askAndReceive<Value: Codable & Sendable>(_ command: Command) throws -> (answer: Value, text: String) {
        try send(command)
        let texts = [try receiveText(), try receiveText()]
        for (index, text) in texts.enumerated() {
            if let answer = try? decoded(Answer<Value>.self, text) { return (answer.answer, texts[1 - index]) }
        }
        throw TestFailure("no answer in \(texts)")
    }

    /// The result of a task in the next message.
    func finished() throws -> TaskResult { try decoded(Finished.self, receiveText()).finished }

    func who() throws -> WorkerIdentity { try ask(.who) }
}

extension WebSocketClient {
    /// One client of each worker, in their order. The server or the kernel chooses the worker of a connection, so this
    /// may take several connections.
    static func ofEveryWorker(_ count: Int, port: Int) throws -> [WebSocketClient] {
        var found: [Int: WebSocketClient] = [:]
        try Wait.until("a connection to each of \(count) workers") {
            let client = try WebSocketClient(port: port)
            let worker = try client.who().id
            if found[worker] == nil { found[worker] = client }
            return found.count == count
        }
        return (0..<count).map { found[$0]! }
    }
}
