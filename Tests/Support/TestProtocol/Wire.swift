import FoundationEssentials
package import SwiftServer

/// The JSON of a value, on one line.
package func encoded(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try! encoder.encode(value), as: UTF8.self)
}

package func decoded<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(text.utf8))
}

/// The envelope of an answer to a command.
package struct Answer<Value: Codable & Sendable>: Codable, Sendable {
    package let answer: Value

    package init(_ answer: Value) { self.answer = answer }
}

/// The first message to a client of most scenarios.
package struct Welcome: Codable, Sendable {
    package let fd: ConnectionID
    package let worker: WorkerIdentity

    @MainActor package init(_ fd: ConnectionID, _ server: WebSocketServer) {
        self.fd = fd
        worker = WorkerIdentity(server)
    }
}

// MARK: - Types of the library

extension ConnectionID: Codable {}
extension ServerMode: Codable {}
extension Reload: Codable {}
extension LogLevel: Codable {}
extension LogFormat: Codable {}
extension WorkerStatus: Codable {}
extension ConnectionInfo.WebSocketStatus: Codable {}
extension ConnectionInfo.SocketType: Codable {}

/// A type with a fixed list of values, each of which is encoded by its description.
package protocol Listed: Codable, CustomStringConvertible {
    static var all: [Self] { get }
}

extension Listed {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let value = Self.all.first(where: { $0.description == name }) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no \(Self.self) \"\(name)\"")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension PushResult: Listed {
    package static let all: [PushResult] = [
        .sent, .queued, .closed, .notWebSocket, .notStream, .full, .invalid, .failed, .unavailable,
    ]
}

extension CloseReason.Cause: Listed {
    package static let all: [CloseReason.Cause] = [
        .peer, .server, .protocolError, .timeout, .overflow, .socketError, .shutdown, .tls, .heartbeat, .outOfMemory,
    ]
}

extension ServerError.Code: Listed {
    package static let all: [ServerError.Code] = [
        .invalidSetting, .missingHandler, .invalidRoute, .bindFailed, .tls, .pidFile, .threadsRunning, .alreadyStarted,
        .system,
    ]
}
