import Glibc
import SwiftServer
import TestProtocol
import Testing

/// A mode and a transport.
struct CoreSetting: Sendable, CustomTestStringConvertible {
    let mode: ServerMode
    let isEncrypted: Bool

    var testDescription: String { "\(mode), \(isEncrypted ? "TLS" : "plain")" }

    static let all = settings([.process, .base, .single])
    static let supervised = settings(ServerMode.supervised)

    private static func settings(_ modes: [ServerMode]) -> [CoreSetting] {
        #if TLS
        let transports = [false, true]
        #else
        let transports = [false]
        #endif
        return modes.flatMap { mode in transports.map { CoreSetting(mode: mode, isEncrypted: $0) } }
    }
}

extension ProcessTests {
    /// The core of a server in every mode, plain and over TLS, with the same client.
    @Suite struct CoreMatrixTests {
        /// A server of a setting, and clients for it.
        private struct Site {
            let server: ServerProcess
            let isEncrypted: Bool
            let tls: ClientTLS

            func socket() throws -> BlockingWebSocket {
                try .connect("\(isEncrypted ? "wss" : "ws")://127.0.0.1:\(server.port)/chat") { $0.tls = tls }
            }

            /// A socket, and its id from the message that the server greets it with.
            func greeted() throws -> (socket: BlockingWebSocket, fd: ConnectionID) {
                let socket = try socket()
                let welcome = try decoded(Welcome.self, socket.text())
                return (socket, welcome.fd)
            }

            /// Sends a request on a connection of its own, and returns all that is received.
            func request(_ text: String) throws -> String {
                let client = try Client.connect(isEncrypted ? .tls(tls) : .tcp, host: "127.0.0.1", port: server.port)
                try client.send(text)
                var received: [UInt8] = []
                while let bytes = try client.recv(timeout: .seconds(20)) { received += bytes }
                return String(decoding: received, as: UTF8.self)
            }
        }

        private func run(
            _ setting: CoreSetting, _ scenario: Scenario = .general, workers: Int = 1, _ test: (Site) throws -> Void
        ) throws {
            let folder = setting.isEncrypted ? try TLSFolder("one") : nil
            try ServerProcess.run(scenario, setting.mode, workers: workers) {
                $0.certificate = folder?.certificate("one")
            } test: { server in
                let authorities = ClientTLS.Trust.authorities(.file(folder?["authority.pem"] ?? ""))
                try test(
                    Site(
                        server: server, isEncrypted: setting.isEncrypted,
                        tls: folder == nil ? ClientTLS() : ClientTLS(trust: authorities, serverName: "one")))
            }
        }

        @Test(arguments: CoreSetting.all) func messagesFromOpenToClose(_ setting: CoreSetting) throws {
            try run(setting) { site in
                let (socket, fd) = try site.greeted()
                try site.server.wait(for: .open(fd))
                for text in ["hello", "", "grüße", String(repeating: "long ", count: 30_000)] {
                    try socket.push(text)
                    let answer = try socket.text()
                    #expect(answer == text)
                }
                let bytes = (0..<1 << 18).map { UInt8(truncatingIfNeeded: $0 &* 7 + $0 >> 8) }
                try socket.push(bytes)
                let isSame = try socket.recv(timeout: .seconds(20))?.bytes == bytes
                #expect(isSame)
                try socket.close(code: 4000, reason: "done")
                let text = try site.server.expectClose(of: fd, code: 4000, cause: .peer)
                #expect(text == "done")
            }
        }

        @Test(arguments: CoreSetting.all) func pushesToOneAndToAll(_ setting: CoreSetting) throws {
            try run(setting) { site in
                let (one, _) = try site.greeted()
                let (two, other) = try site.greeted()
                try one.push(encoded(Command.push("to two", to: other)))
                let pushed = try two.text()
                #expect(pushed == "to two")
                let answer = try decoded(Answer<PushResult>.self, one.text()).answer
                #expect(answer.isAccepted)
                try one.push(encoded(Command.pushToAll("to all")))
                let received = [try one.text(), try two.text()]
                #expect(received == ["to all", "to all"])
            }
        }

        @Test(arguments: CoreSetting.all) func requestsAreAnswered(_ setting: CoreSetting) throws {
            try run(setting) { site in
                let page = try site.request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(page.hasPrefix("HTTP/1.1 200 ") && page.hasSuffix("\r\n\r\nhello"), "\(page)")
                let body = String(repeating: "x", count: 100_000)
                let echo = try site.request(
                    "POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: \(body.count)\r\n\r\n\(body)"
                )
                #expect(echo.hasSuffix("\r\n\r\n\(body)"))
                let missing = try site.request("GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(missing.hasPrefix("HTTP/1.1 404 "))
            }
        }

        @Test(arguments: CoreSetting.all) func theServerClosesAndStops(_ setting: CoreSetting) throws {
            try run(setting) { site in
                let (one, _) = try site.greeted()
                let (two, _) = try site.greeted()
                try one.push(encoded(Command.close(4321, "enough")))
                let end = try one.recv(timeout: .seconds(20))
                #expect(end == nil && one.closeReason?.code == 4321 && one.closeReason?.reason == "enough")
                site.server.signal(SIGTERM)
                let last = try two.recv(timeout: .seconds(20))
                #expect(last == nil && two.closeReason?.code == 1001)
                try site.server.waitForEnd()
            }
        }

        @Test(arguments: CoreSetting.supervised) func broadcastsReachAllWorkers(_ setting: CoreSetting) throws {
            try run(setting, .broadcast, workers: 2) { site in
                let sockets = try (0..<4).map { _ in try site.greeted().socket }
                try sockets[0].push(encoded(Command.broadcast("to all")))
                for socket in sockets[1...] {
                    let text = try socket.text()
                    #expect(text == "to all")
                }
            }
        }

        /// In process mode connections stay; in base mode their worker closes them, and clients connect again.
        @Test(arguments: CoreSetting.supervised) func reloads(_ setting: CoreSetting) throws {
            try run(setting) { site in
                let (socket, _) = try site.greeted()
                site.server.signal(SIGUSR1)
                if setting.mode == .base {
                    let end = try socket.recv(timeout: .seconds(20))
                    #expect(end == nil && socket.closeReason?.code == 1001)
                }
                try site.server.workerStart(0, 2)
                try expectAnswers(site, setting.mode == .process ? socket : nil)
            }
        }

        @Test(arguments: CoreSetting.supervised) func crashes(_ setting: CoreSetting) throws {
            try run(setting) { site in
                let (socket, _) = try site.greeted()
                try socket.push(encoded(Command.leave(exitCode: 3)))
                if setting.mode == .base {
                    let end = try? socket.recv(timeout: .seconds(20))
                    #expect(end == nil && !socket.isOpen)
                }
                try site.server.workerStart(0, 2)
                try expectAnswers(site, setting.mode == .process ? socket : nil)
            }
        }

        private func expectAnswers(_ site: Site, _ socket: BlockingWebSocket?) throws {
            for socket in [socket, try site.greeted().socket].compactMap({ $0 }) {
                try socket.push("again")
                let text = try socket.text()
                #expect(text == "again")
            }
        }
    }
}

extension BlockingWebSocket {
    /// The text of the next message.
    fileprivate func text() throws -> String {
        guard let frame = try recv(timeout: .seconds(20)) else { throw TestFailure("the server has closed") }
        return frame.text
    }
}
