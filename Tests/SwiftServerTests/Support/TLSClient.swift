import Foundation
import TestProtocol
import Testing

/// A TLS client in a process of its own: `Tests/Fixtures/tls/client.py`.
final class TLSClient {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var received: [UInt8] = []

    init(_ server: ServerProcess, _ folder: TLSFolder) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", TLSFolder.fixtures + "/client.py", "\(server.port)", folder["authority.pem"]]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Sends a command and returns its answer.
    func ask(_ command: Command) throws -> [String] {
        input.fileHandleForWriting.write(Data("\(encoded(command))\n".utf8))
        while !received.contains(UInt8(ascii: "\n")) {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { throw Ended() }
            received += more
        }
        let end = received.firstIndex(of: UInt8(ascii: "\n"))!
        defer { received.removeSubrange(...end) }
        return try decoded([String].self, String(decoding: received[..<end], as: UTF8.self))
    }

    struct Ended: Error {}

    /// A command; `name` is that of a connection, and of the host that it asks for.
    enum Command: Encodable {
        /// Connects, and returns the version of TLS and the name in the certificate.
        case open(name: String)
        /// Sends a request, and returns status and body.
        case get(name: String, path: String)
        /// Makes the connection a WebSocket, and returns the status.
        case upgrade(name: String)
        /// Sends a message, the text `times` times over, and returns the length of the echo.
        case echo(name: String, text: String, times: Int = 1)
        /// Sends a message, and returns "sent".
        case send(name: String, text: String)
        /// Sends a ping, and returns the opcode of the answer.
        case ping(name: String)
        /// Receives a message, and returns its first word and its length.
        case receive(name: String)
        /// Closes a WebSocket, and returns opcode and payload of the answer, and how much follows it.
        case close(name: String)
        /// Sends bytes to another port, and returns their echo and the protocol that ALPN has chosen.
        case raw(port: Int, text: String)
        /// Sends a request without TLS, and returns status and body.
        case plain
        /// Tries a handshake with TLS 1.1, and returns "refused" and the reason.
        case old
    }
}

/// A folder with an authority and certificates that it signed, made for one test.
final class TLSFolder {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tls").path
    private let path: String

    init(_ names: String...) throws {
        path = NSTemporaryDirectory() + "/swift-server-tls-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let process = try Process.run(
            URL(fileURLWithPath: TLSFolder.fixtures + "/certificates"), arguments: [path] + names)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "no certificates: is there an openssl?")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { "\(path)/\(name)" }

    func certificate(_ name: String) -> Configuration.Certificate {
        .init(host: name, chain: self["\(name).pem"], key: self["\(name).key"])
    }

    func replace(_ name: String, with other: String) throws {
        for suffix in [".pem", ".key"] {
            let text = try Data(contentsOf: URL(fileURLWithPath: self[other + suffix]))
            try text.write(to: URL(fileURLWithPath: self[name + suffix]))
        }
    }

    func damage(_ file: String) throws {
        try Data("nothing of use\n".utf8).write(to: URL(fileURLWithPath: self[file]))
    }
}
