import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Workers that have one thread after all that their handlers did: where there is no other thread, nothing hops.
    @Suite struct ThreadCountTests {
        @Test(arguments: ServerMode.supervised) func straightLineHandlers(_ mode: ServerMode) throws {
            try ServerProcess.run(.straightLine, mode) { server in
                let client = try StraightLineTests.connect(server, "/echo")
                #expect(try client.ask("hello") == "hello")
                #expect(try client.ask(.tryToReceive(within: .milliseconds(1))) == "nothing was received in time")
                try client.send(.pushFromTasks(3))
                for _ in 0..<30 { _ = try client.receiveText() }
                #expect(try client.ask(.threads) == true)
                try client.sendClose(4000)
                try server.wait(for: .handlerEnd(open: 0, code: 4000))
                #expect(ProcessTable.threads(try server.process("worker 0")) == 1)
            }
        }

        /// The loop of the worker runs its clients, too.
        @Test(arguments: ServerMode.supervised) func clientsInsideAWorker(_ mode: ServerMode) throws {
            try ServerProcess.run(.clients, mode) { server in
                let client = try StraightLineTests.connect(server, "/relay")
                for index in 0..<3 { #expect(try client.ask("\(index)") == "relayed \(index) true true") }
                #expect(ProcessTable.threads(try server.process("worker 0")) == 1)
                try client.sendClose(1000)
                #expect(try client.receive() == .close(1000, ""))
                #expect(ProcessTable.threads(try server.process("worker 0")) == 1)
            }
        }
    }
}
