import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What a worker leaves to the one that takes its place.
    @Suite struct SuccessionTests {
        /// A suspended handler has reading stopped when its worker dies. What was queued behind it comes, and then what
        /// was not read.
        @Test func nothingBehindASuspendedHandlerIsLost() throws {
            try ServerProcess.run(.async, .process) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send(.hold)
                for n in 0..<200 { try client.send(.pick("\(n)")) }
                // The other connection is answered after the events before it, so the pause is under way.
                let other = try WebSocketClient(port: server.port)
                #expect(try other.ask(.pick("ready")) == "ready")
                server.signal(9, to: worker)
                try client.send(.pick("last"))
                for n in 0..<200 { #expect(try client.receiveText() == encoded(Answer("\(n)"))) }
                #expect(try client.receiveText() == encoded(Answer("last")))
            }
        }

        @Test func aKillCostsAtMostTheMessageInHand() throws {
            try ServerProcess.run(.general, .process) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                let count = 2000
                for n in 0..<count {
                    try client.send("number \(n)")
                    if n == count / 2 { server.signal(9, to: worker) }
                }
                try client.send("the end")
                var answers: [String] = []
                while answers.last != "the end" { answers.append(try client.receiveText()) }
                let sent = (0..<count).map { "number \($0)" } + ["the end"]
                #expect(answers.count >= sent.count - 1)
                var rest = sent[...]
                for answer in answers {
                    let place = try #require(rest.firstIndex(of: answer), "\(answer) came twice or out of order")
                    rest = rest[(place + 1)...]
                }
            }
        }

        @Test func aStuckWorkerDoesNotHoldUpAReload() throws {
            try ServerProcess.run(.general, .process, { $0.shutdownTimeout = .milliseconds(200) }) { server in
                let worker = try server.workerStart(0)
                server.signal(19, to: worker)  // SIGSTOP: as stuck as can be
                server.signal(10)
                let successor = try server.workerStart(0, 2)
                #expect(successor != worker)
                let client = try WebSocketClient(port: server.port)
                #expect(try client.who() == WorkerIdentity(id: 0, pid: successor))
            }
        }

        @Test func theMainQueueIsServedAfterAnotherManager() throws {
            try ServerProcess.run(.general, .process) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.answer(on: .mainQueue)) == true)
                server.signal(9, to: try server.process("manager"))
                try server.workerStart(0, 2)
                #expect(try client.ask(.answer(on: .mainQueue)) == true)
                #expect(try client.ask(.answer(on: .mainQueue)) == true)
            }
        }
    }
}
