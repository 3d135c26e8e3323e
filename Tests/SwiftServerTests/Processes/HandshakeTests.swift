import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Handshakes that `onHandshake` decides.
    @Suite struct HandshakeTests {
        private static let offer = "Sec-WebSocket-Protocol: v1, v2\r\n"

        /// Asks for a WebSocket; the answer, and the client behind it.
        private func ask(
            _ server: ServerProcess, _ path: String, _ fields: String = "", port: Int? = nil
        ) throws -> (HTTPResponse, WebSocketClient) {
            let connection = try Connection(port: port ?? server.port)
            try connection.send(StraightLineTests.handshake(path, fields))
            return (try connection.takeResponse(), WebSocketClient(connection))
        }

        @Test(arguments: ServerMode.allCases) func handshakesAreAccepted(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let (answer, client) = try ask(server, "/accept", HandshakeTests.offer)
                #expect(answer.status == 101)
                #expect(answer.all("Sec-WebSocket-Protocol") == ["v2"])
                #expect(answer.all("X-Room") == ["7"])
                #expect(answer.all("Set-Cookie") == ["a=b; HttpOnly"])
                #expect(try client.receiveText() == "open v2 alice 0 established")
                #expect(try client.ask("again") == "again v2 alice 0 established")
                let (byDefault, other) = try ask(server, "/default", HandshakeTests.offer)
                #expect(byDefault.all("Sec-WebSocket-Protocol") == ["v1"])
                #expect(try other.receiveText() == "open v1 - 0 established")
                let (plain, third) = try ask(server, "/none", HandshakeTests.offer)
                #expect(plain.all("Sec-WebSocket-Protocol") == [])
                #expect(try third.receiveText() == "open - - 0 established")
                let full = try ask(server, "/full").1
                #expect(try full.receiveText() == "open - \(String(repeating: "x", count: 256)) 0 established")
                let slow = try ask(server, "/slow").1
                #expect(try slow.receiveText() == "open - slow 0 established")
                try client.sendClose(4000)
                #expect(try client.receive() == .close(4000, ""))
                try server.event(.close)
            }
        }

        @Test(arguments: ServerMode.allCases) func handshakesAreRefused(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let (answer, client) = try ask(server, "/refuse")
                #expect(answer.status == 401)
                #expect(answer.all("WWW-Authenticate") == ["Bearer"])
                #expect(answer.body == "who are you?")
                // The connection goes on: with plain HTTP, and with another try.
                #expect(try client.connection.get("/").body == "1")
                try client.connection.send(StraightLineTests.handshake("/default"))
                #expect(try client.connection.takeResponse().status == 101)
                #expect(try client.receiveText() == "open - - 0 established")
                #expect(try ask(server, "/says-nothing").0.status == 403)
                #expect(try ask(server, "/fails").0.status == 500)
                #expect(try ask(server, "/not-offered").0.status == 500)
                #expect(try ask(server, "/large").0.status == 500)
                #expect(try ask(server, "/user?id=0").0.status == 500)
                #expect(try ask(server, "/odd-status").0.status == 500)
                #expect(server.log.contains("onHandshake has failed on connection"))
                #expect(server.log.contains("Failure()"))
                #expect(server.log.contains("user data must have at most 256 bytes"))
                let (other, _) = try ask(server, "/default", port: server.ports[1])
                #expect(other.status == 503)
                #expect(other.body == "not here")
                #expect(server.events(.close).isEmpty)
            }
        }

        @Test(arguments: ServerMode.allCases) func aHandlerThatHangsIsLimited(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let (answer, client) = try ask(server, "/hangs", port: server.ports[1])
                #expect(answer.status == 503)
                #expect(answer.body.isEmpty)
                #expect(server.log.contains("onHandshake has not decided in time on connection"))
                #expect(try client.connection.get("/").status == 200)
            }
        }

        @Test(arguments: ServerMode.allCases) func aClientThatLeavesBeforeIsNeverOpen(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.send(StraightLineTests.handshake("/late"))
                try server.wait(for: .asked)
                #expect(try Connection(port: server.port).get("/").body == "1 2")
                connection.reset()
                try server.wait(for: .outcome("accepted"))
                let client = try ask(server, "/default").1
                #expect(try client.receiveText() == "open - - 0 established")
                client.connection.reset()
                try server.event(.close)
                #expect(server.events(.close).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised) func aCrashIsAnsweredOrAnEnd(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.send(StraightLineTests.handshake("/crashes"))
                try server.wait(for: .asked)
                if mode == .process {
                    #expect(try connection.takeResponse().status == 500)
                } else {
                    #expect(try connection.takeRest() == [])
                }
                try Wait.until("a new worker") { try ask(server, "/default").0.status == 101 }
            }
        }

        @Test func userDataSurvivesItsWorker() throws {
            try ServerProcess.run(.handshakes, .process) { server in
                let client = try ask(server, "/accept", HandshakeTests.offer).1
                #expect(try client.receiveText() == "open v2 alice 0 established")
                let before = try client.who()
                server.signal(SIGUSR1)
                try server.workerStop(0)
                #expect(try client.ask("reloaded") == "reloaded v2 alice 0 established")
                let after = try client.who()
                #expect(after.pid != before.pid)
                server.signal(SIGKILL, to: after.pid)
                #expect(try client.ask("killed") == "killed v2 alice 0 established")
            }
        }

        @Test func theUsersWorkerGetsTheWebSocket() throws {
            try ServerProcess.run(.handshakes, .process, workers: 3) { server in
                for user in 1...6 {
                    let client = try ask(server, "/user?id=\(user)").1
                    #expect(try client.receiveText() == "open - - \(user) established")
                    #expect(try client.who().id == user % 3)
                }
            }
        }

        @Test(arguments: ServerMode.allCases) func straightLineHandlersDecideThemselves(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let client = try ask(server, "/straight", HandshakeTests.offer).1
                #expect(try client.receiveText() == "straight v2")
                try client.sendClose(4002, "enough")
                #expect(try client.receive() == .close(4002, ""))
                try server.wait(for: .outcome("close 4002 (enough)"))
                let rude = try ask(server, "/straight", HandshakeTests.offer).1
                #expect(try rude.receiveText() == "straight v2")
                rude.connection.disconnect()
                try server.wait(for: .outcome("no close frame"))
            }
        }

        @Test(arguments: ServerMode.allCases) func aPushedCloseFrameCloses(_ mode: ServerMode) throws {
            try ServerProcess.run(.handshakes, mode) { server in
                let client = try ask(server, "/pushes-close").1
                #expect(try client.receive() == .close(4001, "bye"))
                try client.sendClose(4001)
                try server.wait(for: .outcome("the connection is closed"))
            }
        }
    }
}
