import SwiftServer
import Testing

extension ProcessTests {
    /// What a worker leaves to the one that takes its place.
    @Suite struct SuccessionTests {
        /// A suspended handler had reading stopped; its worker dies; the client must not stay unread for ever.
        @Test func connectionsThatWerePausedAreReadAgain() throws {
            try ServerProcess.run("async", .process) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send("hold")
                for n in 0..<200 { try client.send("first \(n)") }
                // The other connection is answered after the events before it, so the pause is under way.
                let other = try WebSocketClient(port: server.port)
                #expect(try other.ask("first ready") == "ready")
                server.signal(9, to: worker)
                // What had waited in the dead worker's memory is lost with it; what was not read comes now.
                try client.send("first last")
                var answer = try client.receiveText()
                while answer != "last" { answer = try client.receiveText() }
            }
        }

        @Test func aKillCostsAtMostTheMessageInHand() throws {
            try ServerProcess.run("general", .process) { server in
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
            try ServerProcess.run("general", .process, ["shutdownTimeout=200"]) { server in
                let worker = try server.process("worker 0")
                server.signal(19, to: worker)  // SIGSTOP: as stuck as can be
                server.signal(10)
                let successor = try server.number("workerStart 0", 2)
                #expect(successor != worker)
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("/who") == "0 \(successor)")
            }
        }

        @Test func theMainQueueIsServedAfterAnotherManager() throws {
            try ServerProcess.run("general", .process) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("/mainQueue") == "from true")
                server.signal(9, to: try server.process("manager"))
                _ = try server.number("workerStart 0", 2)
                #expect(try client.ask("/mainQueue") == "from true")
                #expect(try client.ask("/mainQueue") == "from true")
            }
        }
    }
}
