import Foundation
import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

/// The public one; the tests have a client of this name, too.
private typealias AsyncClient = SwiftServer.WebSocketClient

extension ProcessTests {
    /// The asynchronous WebSocket client, rows Q9 and Q16.
    @Suite struct AsyncClientTests {
        private func run(
            _ scenario: Scenario = .general, _ mode: ServerMode = .process,
            _ configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
            test: @escaping @Sendable (_ url: String) async throws -> Void
        ) async throws {
            try await ClientRun.run(scenario, mode, configure) { try await test("ws://127.0.0.1:\($0)") }
        }

        @Test(arguments: ServerMode.supervised) func messages(_ mode: ServerMode) async throws {
            try await run(.general, mode) { url in
                let client = try await AsyncClient.connect(url + "/chat")
                #expect(await client.state == .open)
                _ = try await client.recv()
                try await client.push("grüße")
                let text = try await client.recv(timeout: .seconds(20))
                #expect(text?.text == "grüße" && text?.opcode == .text)
                let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                try await client.push(bytes)
                let large = try await client.recv(timeout: .seconds(20))
                #expect(large?.bytes == bytes)
                let late = await #expect(throws: ClientError.self) { _ = try await client.recv(timeout: .zero) }
                #expect(late?.code == .timedOut)
                let invalid = await #expect(throws: ClientError.self) {
                    try await client.push([0xff], opcode: .text)
                }
                #expect(invalid?.code == .invalidMessage)
                try await client.close(code: 4000, reason: "done")
                #expect(await client.state == .closed)
                #expect(await client.closeReason?.code == 4000)
                let end = try await client.recv()
                #expect(end == nil)
                let closed = await #expect(throws: ClientError.self) { try await client.push("late") }
                #expect(closed?.code == .closed)
                try await client.close()
            }
        }

        @Test func manyMessagesWithBackPressure() async throws {
            try await run(.echo) { url in
                let client = try await AsyncClient.connect(url) { $0.maxQueue = 1 << 16 }
                let text = String(repeating: "x", count: 20_000)
                async let pushed: Void = {
                    for index in 0..<400 { try await client.push("\(index) \(text)") }
                }()
                var count = 0
                for try await frame in client.frames {
                    #expect(frame.text.hasPrefix("\(count) "))
                    count += 1
                    if count == 400 { break }
                }
                try await pushed
                try await client.close()
            }
        }

        #if Deflate
        @Test func compression() async throws {
            try await run(.clients, .process, { $0.compresses = true }) { url in
                let client = try await AsyncClient.connect(url + "/echo") {
                    $0.compression = Compression()
                    $0.compression?.contextTakeover = true
                }
                #expect(await client.isCompressed)
                for _ in 0..<3 {
                    try await client.push(String(repeating: "hello ", count: 1000))
                    let frame = try await client.recv(timeout: .seconds(20))
                    #expect(frame?.bytes.count == 6000)
                }
            }
        }
        #endif

        @Test func theClientConnectsAgain() async throws {
            try await run { url in
                let states = States()
                let client = try await AsyncClient.connect(url) {
                    $0.reconnects = .exponential(from: .milliseconds(1), upTo: .milliseconds(20), jitter: 0)
                    $0.onState = { states.append($0) }
                }
                var received: [String] = []
                for try await frame in client.frames {
                    if frame.text.contains("\"fd\"") {  // the welcome of each connection
                        received.append("welcome")
                        switch received.count {
                        case 1: try await client.push(encoded(Command.close(1012)))
                        case 2: try await client.push("again")
                        default: try await client.push(encoded(Command.close(1000)))
                        }
                    } else {
                        received.append(frame.text)
                        try await client.push(encoded(Command.close(1000)))
                    }
                }
                #expect(received == ["welcome", "welcome", "again"])
                #expect(await client.closeReason?.code == 1000)
                #expect(
                    states.all == [
                        .connecting(attempt: 1), .open, .waiting(.milliseconds(1), nil), .connecting(attempt: 1), .open,
                        .closed,
                    ])
            }
        }

        /// The server ends, and with it the last attempt.
        @Test func theLastAttempt() async throws {
            // On a thread, which waits for the connection: the client needs those of tasks.
            try await ClientRun.alone {
                let listener = try Listener()
                Thread.detachNewThread { try? listener.upgradeAndClose() }
                try ClientRun.wait {
                    let states = States()
                    let client = try await AsyncClient.connect("ws://127.0.0.1:\(listener.port)") {
                        $0.reconnects = .exponential(from: .milliseconds(1), jitter: 0, attempts: 2)
                        $0.onState = { states.append($0) }
                    }
                    let error = await #expect(throws: ClientError.self) { _ = try await client.recv() }
                    #expect(error?.code == .refused)
                    let numbers = states.all.compactMap { state in
                        if case .connecting(let attempt) = state { attempt } else { nil }
                    }
                    #expect(numbers == [1, 1, 2])
                    #expect(states.all.last == .closed)
                }
            }
        }

        @Test func cancellation() async throws {
            try await run(.echo) { url in
                let client = try await AsyncClient.connect(url)
                let waiting = Task { try await client.recv() }
                waiting.cancel()
                await #expect(throws: CancellationError.self) { _ = try await waiting.value }
                try await client.push("still open")
                let frame = try await client.recv(timeout: .seconds(20))
                #expect(frame?.text == "still open")
            }
        }

        @Test func limits() async throws {
            try await run(.echo) { url in
                let small = try await AsyncClient.connect(url) { $0.maxMessage = 100 }
                try await small.push(String(repeating: "x", count: 101))
                let error = await #expect(throws: ClientError.self) { _ = try await small.recv() }
                #expect(error?.code == .protocolError)
                let other = try await AsyncClient.connect(url)
                try await other.push("short")
                try await other.push(String(repeating: "x", count: 11))
                var count = 0
                for try await _ in other.messages(maxSize: 10) { count += 1 }
                #expect(count == 1)
                #expect(await other.closeReason?.code == 1009)
            }
        }

        @Test func failures() async throws {
            try await ClientRun.alone {
                try ClientRun.wait {
                    for (url, code) in [
                        ("http://a", ClientError.Code.invalidArgument), ("ws://127.0.0.1:1", .refused),
                    ] {
                        let error = await #expect(throws: ClientError.self) { _ = try await AsyncClient.connect(url) }
                        #expect(error?.code == code)
                    }
                }
            }
        }

        @Test func aRefusedHandshake() async throws {
            try await run(.straightLine) { url in
                let error = await #expect(throws: ClientError.self) {
                    _ = try await AsyncClient.connect(url + "/login") { $0.reconnects = .exponential() }
                }
                #expect(error?.code == .handshake)
                #expect(error?.status == 401)
            }
        }

        @Test(arguments: ServerMode.supervised) func aWorkerIsAClient(_ mode: ServerMode) async throws {
            try await run(.clients, mode) { url in
                let client = try await AsyncClient.connect(url + "/relay")
                for index in 0..<3 {
                    try await client.push("\(index)")
                    let frame = try await client.recv(timeout: .seconds(20))
                    #expect(frame?.text == "relayed \(index) true true")
                }
                try await client.close()
            }
        }

        #if TLS
        @Test func overTLS() async throws {
            let folder = try TLSFolder("one")
            defer { withExtendedLifetime(folder) {} }
            let (authority, certificate) = (folder["authority.pem"], folder.certificate("one"))
            try await run(.echo, .process, { $0.certificate = certificate }) { url in
                let secure = url.replacing("ws:", with: "wss:")
                let client = try await AsyncClient.connect(secure) {
                    $0.tls = ClientTLS(trust: .authorities(.file(authority)), serverName: "one")
                }
                try await client.push("secret")
                let frame = try await client.recv(timeout: .seconds(20))
                #expect(frame?.text == "secret")
                let error = await #expect(throws: ClientError.self) { _ = try await AsyncClient.connect(secure) }
                #expect(error?.code == .tls)
                #expect(error?.message.hasSuffix("unable to get local issuer certificate") == true)
            }
        }
        #endif
    }
}

/// The states of a client.
private final class States: @unchecked Sendable {
    private let lock = NSLock()
    private var states: [SwiftServer.WebSocketClient.State] = []

    func append(_ state: SwiftServer.WebSocketClient.State) { lock.withLock { states.append(state) } }
    var all: [SwiftServer.WebSocketClient.State] { lock.withLock { states } }
}

/// A server that accepts one handshake and then ends.
private final class Listener: @unchecked Sendable {
    private let descriptor: Int32
    let port: Int

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size) + listen(descriptor, 5) + getsockname(descriptor, $0, &size)
            }
        }
        try #require(result == 0)
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    func upgradeAndClose() throws {
        let accepted = accept(descriptor, nil, nil)
        var request: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 4096)
        while !request.ends(with: "\r\n\r\n".utf8) {
            let got = unsafe recv(accepted, &room, room.count, 0)
            try #require(got > 0)
            request += room[..<got]
        }
        let text = String(decoding: request, as: UTF8.self)
        let name = try #require(text.range(of: "Sec-WebSocket-Key: "))
        let key = text[name.upperBound...].prefix(24)
        let response =
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + AcceptValue.of(Array(key.utf8)) + "\r\n\r\n"
        close(descriptor)
        unsafe _ = send(accepted, response, response.utf8.count, Int32(MSG_NOSIGNAL))
        close(accepted)
    }
}

extension [UInt8] {
    fileprivate func ends(with other: some Collection<UInt8>) -> Bool { suffix(other.count).elementsEqual(other) }
}
