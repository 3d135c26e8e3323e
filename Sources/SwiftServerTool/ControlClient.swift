import FoundationEssentials
import SwiftServer

/// The end of a command with an exit code.
struct Failure: Error {
    enum Kind: Int32 {
        case failed = 1
        case usage = 2
        case noServer = 3
    }
    let kind: Kind
    let message: String

    init(_ kind: Kind = .failed, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// Sends commands to the control socket of a server.
struct ControlClient: Sendable {
    let path: String
    private let client: HTTPClient
    /// A list of connections has at most some 300 KiB.
    private static let maxAnswer = 16 << 20

    init(path: String) {
        self.path = path
        client = HTTPClient {
            $0.connectTimeout = .seconds(5)
            $0.timeout = .seconds(10)
        }
    }

    /// Sends a command, and returns the JSON of its answer.
    ///
    /// - Throws: ``Failure``.
    func send(_ method: String, _ target: String, _ body: [String: Member] = [:]) async throws -> [UInt8] {
        var request = HTTPClientRequest("http://localhost\(target)", method: method)
        request.unixSocket = path
        if !body.isEmpty {
            request.headers = ["Content-Type": "application/json"]
            request.body = .bytes(Array(try JSONEncoder().encode(body)))
        }
        let answer: (status: Int, body: [UInt8])
        do {
            let response = try await client.execute(request)
            answer = (response.status, try await response.body.collect(upTo: ControlClient.maxAnswer))
        } catch let error as ClientError where error.code == .refused {
            throw Failure(.noServer, "no server answers at \(path): \(error.message)")
        } catch let error as ClientError {
            throw Failure(.failed, "cannot reach the server at \(path): \(error.message)")
        }
        guard (200...299).contains(answer.status) else {
            let text = (try? JSONDecoder().decode(Refusal.self, from: Data(answer.body)))?.error
            throw Failure(.failed, text.map(Text.visible) ?? "the server answered with status \(answer.status)")
        }
        return answer.body
    }

    func status() async throws -> Status { try decode(Status.self, try await send("GET", "/status")) }

    func decode<Value: Decodable>(_ type: Value.Type, _ body: [UInt8]) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw Failure(.failed, "the answer of the server at \(path) is not that of a control socket")
        }
    }

    private struct Refusal: Decodable {
        let error: String
    }

    /// A member of a body.
    enum Member: Encodable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral {
        case text(String)
        case texts([String])
        case number(Int)
        case bool(Bool)

        init(stringLiteral text: String) { self = .text(text) }
        init(booleanLiteral value: Bool) { self = .bool(value) }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .texts(let texts): try container.encode(texts)
            case .number(let number): try container.encode(number)
            case .bool(let value): try container.encode(value)
            }
        }
    }
}
