import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// A client that does not read is not read either, and loses nothing.
    @Suite struct BackPressureTests {
        private static let size = 65_536
        private static let count = 1408

        /// One message, whose number is changed in place.
        private struct Numbered {
            private(set) var frame = WebSocketClient.frame(2, [UInt8](repeating: 0x55, count: size))
            private static let mask: [UInt8] = [0x12, 0x34, 0x56, 0x78]
            var number = 0 { didSet { setNumber() } }

            init() { setNumber() }

            private mutating func setNumber() {
                for byte in 0..<4 { frame[14 + byte] = UInt8(number >> (8 * byte) & 255) ^ Numbered.mask[byte] }
            }
        }

        private static func number(_ payload: [UInt8]) -> Int {
            (0..<4).reduce(0) { $0 | Int(payload[$1]) << (8 * $1) }
        }

        /// What a server may need more: an arena of shared memory, which has 32 MiB, and buffers. The client sends
        /// 88 MiB.
        private static let bound = 48 << 20

        private static func memory(_ server: ServerProcess) -> Int {
            ProcessTable.residentBytes(server.running)
        }

        @Test(arguments: ServerMode.supervised, [false, true])
        func anEchoThatIsNotReadLosesNothing(_ mode: ServerMode, _ isAsync: Bool) throws {
            try ServerProcess.run(.behaviour, mode, { $0.isAsync = isAsync }) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                let other = try WebSocketClient(port: server.port, welcome: false)
                #expect(try client.ask("hello") == "hello")
                let memory = BackPressureTests.memory(server)
                var message = Numbered()
                var position = 0
                var received = 0

                /// As much as the system takes now.
                func sendSome() throws -> Bool {
                    guard message.number < BackPressureTests.count else { return false }
                    let sent = try client.connection.sendSome(message.frame[position...])
                    position += sent
                    if position == message.frame.count {
                        message.number += 1
                        position = 0
                    }
                    return sent > 0
                }

                while try sendSome() || client.connection.waitForRoom(500) {
                    if message.number == BackPressureTests.count { break }
                }
                #expect(message.number < BackPressureTests.count / 2, "the server has stopped reading")
                let growth = BackPressureTests.memory(server) - memory
                #expect(growth < BackPressureTests.bound, "\(growth) bytes more")
                #expect(try other.ask("meanwhile") == "meanwhile")

                while received < BackPressureTests.count {
                    while try sendSome() {}
                    guard case .binary(let payload) = try client.receive() else {
                        Issue.record("no message \(received)")
                        return
                    }
                    let isNext =
                        payload.count == BackPressureTests.size
                        && BackPressureTests.number(payload) == received
                    try #require(isNext, "message \(BackPressureTests.number(payload)) came as \(received)")
                    received += 1
                }
                #expect(try client.ask("the end") == "the end")
                try server.event(.drained)
                #expect(BackPressureTests.memory(server) - memory < BackPressureTests.bound)
            }
        }
    }
}
