import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What a process sent before it was killed arrives, also what its ring had no room for.
    @Suite struct AcceptedPushTests {
        /// Of one more the kill may interrupt the handler.
        private static let count = 40

        private func run(
            tasks: Int = 0, _ configure: (inout Configuration) -> Void = { _ in }, test: (ServerProcess) throws -> Void
        ) throws {
            try ServerProcess.run(.largeAnswers, tasks: tasks) {
                $0.reactors = 1
                configure(&$0)
            } test: {
                try test($0)
            }
        }

        private func client(_ server: ServerProcess) throws -> WebSocketClient {
            try WebSocketClient(port: server.port, welcome: false)
        }

        /// Everything that was sent before on any connection is in the rings when this returns.
        private func settle(_ client: WebSocketClient) throws {
            for _ in 0..<3 {
                try client.send(9, [1])
                #expect(try client.receive() == .pong([1]))
            }
        }

        /// The worker stops, is given work, and does it while the master is stopped. Then it is killed.
        private func kill(
            _ server: ServerProcess, answers: Int = count, stop: () throws -> Void, work: () throws -> Void
        ) throws {
            try stop()
            let worker = try #require(try server.event(.stopping).pid)
            try work()
            server.signal(SIGSTOP)
            server.signal(SIGCONT, to: worker)
            try server.event(.largeAnswer, answers + 1)
            server.signal(SIGKILL, to: worker)
            server.signal(SIGCONT)
            expectNoRefusal(server)
        }

        private func expectNoRefusal(_ server: ServerProcess) {
            for case .largeAnswer(let number, false) in server.events(.largeAnswer) {
                Issue.record("answer \(number) was refused")
            }
        }

        @Test func pushesOfAKilledWorkerArrive() throws {
            try run { server in
                let client = try client(server)
                try kill(server) {
                    try client.send(.stopProcess)
                } work: {
                    for number in 1...Self.count + 1 { try client.send(.answerLargely(number)) }
                    try settle(client)
                }
                for number in 1...Self.count {
                    let text = try client.receiveText()
                    #expect(text.prefix { $0 != " " } == "\(number)" && text.utf8.count > 200_000)
                }
                try server.workerStart(0, 2)
                try client.send("again")
                while try client.receiveText() != "again" {}
            }
        }

        @Test func compressedPushesOfAKilledWorkerArrive() throws {
            try run({ $0.compresses = true }) { server in
                let connection = try Connection(port: server.port)
                let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
                try connection.send(WebSocketClient.handshake.dropLast() + offer)
                let response = try connection.takeResponse()
                #expect(response.status == 101 && !response.all("Sec-WebSocket-Extensions").isEmpty)
                let client = WebSocketClient(connection)
                try kill(server) {
                    try client.send(.stopProcess)
                } work: {
                    for number in 1...Self.count + 1 { try client.send(.answerLargely(number)) }
                    try settle(client)
                }
                for _ in 1...Self.count {
                    let head = try #require(try connection.take(2))
                    #expect(head[0] == 0xC1, "the end of a compressed text")
                    let length = head[1] < 126 ? Int(head[1]) : try connection.take(2)!.reduce(0) { $0 << 8 | Int($1) }
                    #expect(try connection.take(length) != nil)
                }
            }
        }

        @Test func pushesOfAKilledWorkerArriveOverTLS() throws {
            let folder = try TLSFolder("one")
            try run({ $0.certificate = folder.certificate("one") }) { server in
                let client = try TLSClient(server, folder)
                _ = try client.ask(.open(name: "one"))
                #expect(try client.ask(.upgrade(name: "one")) == ["101"])
                try kill(server) {
                    _ = try client.ask(.send(name: "one", text: encoded(Command.stopProcess)))
                } work: {
                    for number in 1...Self.count + 1 {
                        _ = try client.ask(.send(name: "one", text: encoded(Command.answerLargely(number))))
                    }
                    for _ in 0..<3 { #expect(try client.ask(.ping(name: "one")) == ["10"]) }
                }
                for number in 1...Self.count {
                    let received = try client.ask(.receive(name: "one"))
                    #expect(received[0] == "\(number)" && received[1].hasPrefix("2000"))
                }
            }
        }

        @Test func responsesOfAKilledWorkerArrive() throws {
            let requests = 20
            try run { server in
                let client = try client(server)
                let connection = try Connection(port: server.port)
                try kill(server, answers: requests) {
                    try client.send(.stopProcess)
                } work: {
                    for number in 1...requests + 1 { try connection.sendRequest("/\(number)") }
                    try settle(client)
                }
                for number in 1...requests {
                    let response = try connection.takeResponse()
                    #expect(response.status == 200 && response.body.hasPrefix("\(number) "))
                }
            }
        }

        /// The task worker is killed while the worker that gets the results is stopped.
        @Test func resultsOfAKilledTaskWorkerArrive() throws {
            try run(tasks: 1) { server in
                let client = try client(server)
                try client.send(.stopTaskWorker)
                let taskWorker = try #require(try server.event(.stopping).pid)
                for number in 1...Self.count { try client.send(.haveTaskAnswerLargely(number)) }
                try client.send(.stopProcess)
                let worker = try #require(try server.event(.stopping, 2).pid)
                server.signal(SIGCONT, to: taskWorker)
                try server.event(.largeAnswer, Self.count)
                server.signal(SIGKILL, to: taskWorker)
                server.signal(SIGCONT, to: worker)
                for number in 1...Self.count {
                    #expect(try client.receiveText().prefix { $0 != " " } == "\(number)")
                }
                expectNoRefusal(server)
            }
        }
    }
}
