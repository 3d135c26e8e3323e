import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Lines about handlers that have blocked their process.
    @Suite struct SlowHandlerTests {
        private static let modes: [ServerMode] = [.process, .base, .single]

        /// The fields of the lines, in the order of the log. Text that is quoted has no blanks in it here.
        private func lines(_ server: ServerProcess) -> [[String: String]] {
            server.log.split(separator: "\n").filter { $0.contains("warning: slow handler ") }.map { line in
                let fields = line.matches(of: /(\w+)=("[^"]*"|\S+)/)
                return Dictionary(fields.map { (String($0.1), String($0.2)) }, uniquingKeysWith: { first, _ in first })
            }
        }

        @Test(arguments: modes)
        func callbacksAndRequestsAreNamed(mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.slowHandlerAfter = .milliseconds(50) }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.block(.milliseconds(60))) == true)
                // Less than ten seconds later.
                let begin = ContinuousClock.now
                #expect(try client.ask(.block(.milliseconds(70))) == true)
                #expect(try Connection(port: server.port).get(.block(.milliseconds(60))).body == "blocked")
                try Wait.until("the lines") { lines(server).count >= 2 }
                let (message, request) = (lines(server)[0], lines(server).last!)
                #expect(message["handler"] == "onMessage" && message["fd"] == "\(client.fd)")
                #expect(message["address"] == "127.0.0.1" && message["request"] == nil)
                #expect((message["seconds"].flatMap(Double.init) ?? 0) >= 0.06)
                #expect(request["handler"] == "onRequest" && request["request"] == "\"GET /page\"")
                #expect(request["fd"] != nil && request["fd"] != message["fd"])
                #expect(lines(server).count == 2 || ContinuousClock.now - begin > .seconds(9))
                #expect(mode == .single || server.log.contains(" worker 0] warning: slow handler "))
            }
        }

        @Test func straightLineHandlersAreNamed() throws {
            try ServerProcess.run(.straightLine, .process, { $0.slowHandlerAfter = .milliseconds(50) }) { server in
                let client = try StraightLineTests.connect(server, "/echo")
                #expect(try client.ask(.block(.milliseconds(60))) == true)
                try Wait.until("the line") { !lines(server).isEmpty }
                #expect(lines(server)[0]["handler"] == "onMessage" && lines(server)[0]["fd"] == "1")
            }
        }

        @Test func tasksAreNamed() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1, { $0.slowHandlerAfter = .milliseconds(50) }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.wait(.rest(.milliseconds(60)))) == TaskOutcome.result(.text("slept")))
                try Wait.until("the line") { !lines(server).isEmpty }
                #expect(lines(server).map { $0["handler"] } == ["onTask"] && lines(server)[0]["task"] == "1")
                #expect(server.log.contains("task worker 1] warning: slow handler "))
            }
        }

        @Test func nothingIsLoggedByDefault() throws {
            try ServerProcess.run(.general) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.block(.milliseconds(60))) == true)
                #expect(try client.ask("x") == "x")
                #expect(lines(server).isEmpty)
            }
        }
    }
}
