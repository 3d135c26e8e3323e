import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Handlers that serve a connection from its request to its end.
    @Suite struct StraightLineTests {
        static func connect(_ server: ServerProcess, _ path: String, fields: String = "") throws -> WebSocketClient {
            let connection = try Connection(port: server.port)
            try connection.send(handshake(path, fields))
            let client = WebSocketClient(connection)
            try client.finishHandshake()
            return client
        }

        static func handshake(_ path: String, _ fields: String = "") -> String {
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(fields)\r\n"
        }

        @Test(arguments: ServerMode.allCases) func messagesAreReceivedAndPushedInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let client = try StraightLineTests.connect(server, "/echo")
                for index in 0..<300 { try client.send("message \(index)") }
                for index in 0..<300 { #expect(try client.receiveText() == "message \(index)") }
                try client.send(2, [0, 255])
                #expect(try client.receive() == .binary([0, 255]))
                #expect(try client.ask(.threads) == true)
                let twice = try StraightLineTests.connect(server, "/ECHO/Twice/and/more")
                #expect(try twice.ask("a") == "first a")
                #expect(try twice.receiveText() == "second a")
            }
        }

        /// In process mode, where a wakeup for each message would cost a turn of the loop.
        @Test func messagesThatHaveArrivedAreTakenAtOnce() throws {
            try ServerProcess.run(.straightLine, .process) { server in
                let client = try StraightLineTests.connect(server, "/batch")
                try client.send("50")
                for index in 0..<50 { try client.send("message \(index)") }
                #expect(try client.receiveText() == "50 taken, suspended: false, then true")
            }
        }

        @Test(arguments: ServerMode.allCases) func aHandlerMayRefuseOrUpgrade(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.send(StraightLineTests.handshake("/login"))
                let refused = try connection.takeResponse()
                #expect(refused.status == 401)
                #expect(refused.all("WWW-Authenticate") == ["Bearer"])
                #expect(refused.body == "who are you?")
                // The connection goes on, and may try again.
                try connection.send(
                    StraightLineTests.handshake("/login?token=secret", "Sec-WebSocket-Protocol: v1, v2\r\n"))
                let accepted = try connection.takeResponse()
                #expect(accepted.status == 101)
                #expect(accepted.all("Sec-WebSocket-Protocol") == ["v2"])
                #expect(accepted.all("Set-Cookie") == ["user=7"])
                let client = WebSocketClient(connection)
                #expect(try client.receiveText() == "welcome")
                #expect(try client.ask("0123456789") == "0123456789")
                try client.send("01234567890")
                #expect(try client.receive() == .close(1009, "the message is larger than 10 bytes"))
            }
        }

        /// A WebSocket on a connection whose first handshake was refused by a handler that has not returned.
        private static func connectAgain(_ server: ServerProcess, _ path: String) throws -> WebSocketClient {
            let connection = try Connection(port: server.port)
            try connection.send(handshake("/login?lingers=yes"))
            #expect(try connection.takeResponse().status == 401)
            try connection.send(handshake(path))
            #expect(try connection.takeResponse().status == 101)
            return WebSocketClient(connection)
        }

        /// The handler that has refused the first handshake returns while the one of the second has messages.
        @Test(arguments: ServerMode.allCases) func aHandlerThatHasRefusedMayEndLater(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let client = try StraightLineTests.connectAgain(server, "/login?token=secret")
                #expect(try client.receiveText() == "welcome")
                for index in 0..<50 {
                    #expect(try client.ask("\(index)") == "\(index)")
                    usleep(1000)
                }
            }
        }

        /// Callbacks serve the second handshake.
        @Test(arguments: ServerMode.allCases) func callbacksServeWhatAHandlerHasRefused(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode, { $0.hasCallbacks = true }) { server in
                let client = try StraightLineTests.connectAgain(server, "/other")
                #expect(try client.receiveText() == "callback /other")
                #expect(try client.ask("hello") == "callback hello")
            }
        }

        @Test(arguments: ServerMode.allCases) func otherPathsAnswerPlainHTTP(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let http = try Connection(port: server.port)
                #expect(try http.get("/plain").body == "GET /plain")
                #expect(try http.get("/plain/below").body == "GET /plain/below")
                #expect(try http.get("/plainer").status == 404)
                #expect(try http.get("/upgrades-plain").body == "the request is not a WebSocket handshake")
                #expect(try http.get("/forgets").status == 500)
                #expect(try http.get("/fails").status == 500)
                #expect(try http.get("/plain").status == 200)
                try http.send(StraightLineTests.handshake("/nowhere"))
                #expect(try http.takeResponse().status == 404)
                try http.send(StraightLineTests.handshake("/bad-subprotocol", "Sec-WebSocket-Protocol: v1\r\n"))
                #expect(try http.takeResponse().body == "the client has not offered this subprotocol")
                #expect(server.log.contains("a handler has returned without a response"))
                #expect(server.log.contains("the handler of /fails has failed on connection"))
            }
        }

        @Test(arguments: ServerMode.allCases) func callbacksServeWhatNoRouteFits(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode, { $0.hasCallbacks = true }) { server in
                #expect(try Connection(port: server.port).get("/other").body == "callback /other")
                let client = try StraightLineTests.connect(server, "/other")
                #expect(try client.receiveText() == "callback /other")
                #expect(try client.ask("hello") == "callback hello")
                #expect(try StraightLineTests.connect(server, "/echo").ask("hello") == "hello")
                try client.sendClose(4000)
                try server.event(.close)
            }
        }

        @Test(arguments: ServerMode.allCases) func aHandlerLearnsOfEveryEnd(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let polite = try StraightLineTests.connect(server, "/echo")
                try polite.send("last words")
                try polite.sendClose(4001, "leaving")
                #expect(try polite.receiveText() == "last words")
                #expect(try polite.receive() == .close(4001, ""))
                try server.wait(for: .handlerEnd(open: 0, code: 4001))
                let rude = try StraightLineTests.connect(server, "/echo")
                #expect(try rude.ask("hello") == "hello")
                rude.connection.reset()
                try server.wait(for: .handlerEnd(open: 0, code: 1006))
                let late = try Connection(port: server.port)
                try late.send(StraightLineTests.handshake("/late"))
                try server.event(.asked)
                late.reset()
                try server.wait(for: .lateUpgrade("the connection is closed"))
            }
        }

        @Test(arguments: ServerMode.allCases) func theEndOfAHandlerClosesItsConnection(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let ends: [(Command, WebSocketClient.Message)] = [
                    (.returnFromHandler, .close(1000, "")), (.fail, .close(1011, "")),
                    (.close(4002, "bye"), .close(4002, "bye")),
                    (.receive(within: .milliseconds(20)), .close(1001, "timeout")),
                ]
                for (command, message) in ends {
                    let client = try StraightLineTests.connect(server, "/echo")
                    try client.send(command)
                    #expect(try client.receive() == message)
                }
                #expect(server.log.contains("the handler of /echo has failed on connection"))
            }
        }

        @Test(arguments: ServerMode.allCases) func receivingHasALimitOfTime(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let client = try StraightLineTests.connect(server, "/echo")
                #expect(try client.ask(.tryToReceive(within: .milliseconds(20))) == "nothing was received in time")
                try client.send(.tryToReceive(within: .seconds(60)))
                try client.send("in time")
                #expect(try client.ask("hello") == "hello")
                #expect(try client.ask(.receiveInCancelledTask) == "CancellationError()")
                #expect(try client.ask("hello") == "hello")
            }
        }

        @Test(arguments: ServerMode.allCases) func pushingWaitsForASlowClient(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode, { $0.maxQueue = 1_000_000 }) { server in
                let slow = try StraightLineTests.connect(server, "/echo")
                let quick = try StraightLineTests.connect(server, "/echo")
                try slow.send(.pushLarge(500))
                #expect(try quick.ask("hello") == "hello")
                usleep(50_000)
                #expect(server.events(.pushedLarge).isEmpty)
                for index in 0..<500 {
                    let text = try slow.receiveText()
                    #expect(text.hasPrefix("\(index) x") && text.utf8.count > 100_000)
                }
                #expect(try slow.receiveText() == "done")
            }
        }

        @Test(arguments: ServerMode.allCases) func severalTasksMayPush(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let client = try StraightLineTests.connect(server, "/echo")
                try client.send(.pushFromTasks(5))
                var next = [0, 0, 0, 0, 0]
                for _ in 0..<50 {
                    let words = try client.receiveText().split(separator: " ").map { Int($0)! }
                    #expect(words[1] == next[words[0]])
                    next[words[0]] += 1
                }
                #expect(next == [10, 10, 10, 10, 10])
                let other = try StraightLineTests.connect(server, "/echo")
                try client.send(.pushToAll("hello"))
                for each in [client, other] { #expect(try each.receiveText() == "hello") }
            }
        }

        @Test(arguments: ServerMode.allCases) func aStopClosesAll(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let clients = try (0..<10).map { _ in try StraightLineTests.connect(server, "/echo") }
                server.signal(SIGTERM)
                for client in clients {
                    guard case .close(1001, _) = try client.receive() else {
                        Issue.record("not closed with 1001")
                        continue
                    }
                    try client.sendClose(1001)
                }
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.handlerEnd).count == 10)
                #expect(!server.log.contains("in time"))
            }
        }
    }
}
