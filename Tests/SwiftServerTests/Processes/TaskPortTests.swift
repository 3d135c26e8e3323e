import Foundation
import TestProtocol
import Testing

extension ProcessTests {
    /// What task workers send to streams and as datagrams, and messages that nobody handles.
    @Suite struct TaskPortTests {
        @Test(arguments: ServerMode.supervised) func taskWorkersSend(_ mode: ServerMode) throws {
            try ServerProcess.run(.taskPorts, mode, workers: 2, tasks: 1) { server in
                let expected = Array("of task worker 2".utf8)
                let stream = try Connection(port: server.ports[1])
                try stream.send("x")
                #expect(try stream.take(expected.count) == expected)
                let packets = try Connection.datagrams(port: server.ports[2])
                try packets.send("x")
                #expect(try packets.take(expected.count) == expected)
            }
        }

        @Test func messagesWithoutAHandlerAreWarnedOfOnce() throws {
            try ServerProcess.run(.taskPorts, .process, workers: 2, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                for number in 1...3 { #expect(try client.ask("\(number)") == "\(number)") }
                let line = "was dropped: there is no onPipeMessage handler"
                try Wait.until("a line of the log") { server.log.contains(line) }
                try server.stop()
                #expect(server.log.components(separatedBy: line).count == 2)
            }
        }
    }
}
