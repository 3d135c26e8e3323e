import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Request bodies in pieces.
    @Suite struct UploadTests {
        private static let size = 50 << 20

        private static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

        private static func head(_ upload: Upload, _ fields: String) -> String {
            "POST \(upload.path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n\r\n"
        }

        /// The most memory that the process ever had, in bytes.
        private static func peak(_ pid: Int32) throws -> Int {
            let text = try #require(ProcessTable.status(pid, "VmHWM"))
            return try #require(Int(text.split(separator: " ")[0])) << 10
        }

        @Test(arguments: ServerMode.allCases) func aSlowReaderHoldsTheClientBack(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                let connection = try Connection(port: server.port)
                #expect(try connection.get(Upload.count.path, method: "POST", body: "\0\u{1}").body == "2 true")
                let processes = [server.pid] + (mode == .single ? [] : [try server.process("worker 0")])
                let before = try processes.map(UploadTests.peak)
                try connection.send(UploadTests.head(.slow, "Content-Length: \(UploadTests.size)"))
                let megabyte = [UInt8](repeating: 7, count: 1 << 20)
                for _ in 0..<UploadTests.size >> 20 { try connection.send(megabyte) }
                #expect(try connection.takeResponse().body == "true \(UploadTests.size)")
                for (pid, memory) in zip(processes, before) {
                    let grown = try UploadTests.peak(pid) - memory
                    #expect(grown < 16 << 20, "\(grown) bytes more")
                }
                #expect(try connection.get(Upload.count.path, method: "POST", body: "\0").body == "1 true")
            }
        }

        @Test(arguments: ServerMode.allCases) func everyByteComesInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                let connection = try Connection(port: server.port)
                let bytes = UploadTests.bytes(3_000_000)
                try connection.send(UploadTests.head(.count, "Content-Length: \(bytes.count)"))
                try connection.send(bytes)
                #expect(try connection.takeResponse().body == "3000000 true")
                try connection.send(UploadTests.head(.count, "Transfer-Encoding: chunked"))
                for start in stride(from: 0, to: 1_000_000, by: 100_000) {
                    try connection.send("186a0\r\n")
                    try connection.send([UInt8](bytes[start..<start + 100_000]))
                    try connection.send("\r\n")
                }
                try connection.send("0\r\n\r\n")
                #expect(try connection.takeResponse().body == "1000000 true")
                // Both ways at once.
                try connection.send(UploadTests.head(.echo, "Transfer-Encoding: chunked"))
                try connection.send("5\r\nhello\r\n")
                #expect(try connection.take(through: "hello\r\n")?.hasSuffix("\r\n\r\n5\r\nhello\r\n") == true)
                try connection.send("0\r\n\r\n")
                #expect(try connection.take(through: "0\r\n\r\n") == "0\r\n\r\n")
            }
        }

        @Test(arguments: ServerMode.allCases) func whoDoesNotReadTheBodyHarmsNobody(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                let connection = try Connection(port: server.port)
                for upload in [Upload.ignore, .ignore, .first] {
                    try connection.send(UploadTests.head(upload, "Content-Length: 30000"))
                    try connection.send(UploadTests.bytes(30_000))
                    let response = try connection.takeResponse()
                    #expect(response.status == 200 && response.all("Connection") == [])
                }
                #expect(
                    try connection.get(Upload.late.path, method: "POST", fields: "Transfer-Encoding: chunked\r\n").body
                        == "early")
                #expect(try server.event(.uploadFailed) == .uploadFailed(.late, .incomplete))
                try connection.send("0\r\n\r\n")
                #expect(try connection.get("/").body == "0 ignored")
                // Too much to be read for nothing: the answer comes, and then the end.
                try connection.send(UploadTests.head(.ignore, "Content-Length: \(UploadTests.size)"))
                let response = try connection.takeResponse()
                #expect(response.body == "0 ignored" && response.all("Connection") == ["close"])
                #expect(try connection.takeRest() == [])
            }
        }

        @Test(arguments: ServerMode.allCases) func aClientThatLeavesIsAnError(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                for count in 1...3 {
                    let connection = try Connection(port: server.port)
                    try connection.send(UploadTests.head(.echo, "Content-Length: 1000"))
                    try connection.send("here")
                    _ = try connection.take(through: "here")
                    if count == 2 { connection.reset() } else { connection.disconnect() }
                    #expect(try server.event(.uploadFailed, count) == .uploadFailed(.echo, .incomplete))
                }
                let connection = try Connection(port: server.port)
                try connection.send(UploadTests.head(.count, "Transfer-Encoding: chunked"))
                try connection.send("malformed\r\n")
                #expect(try connection.takeResponse().status == 400)
                #expect(try server.event(.uploadFailed, 4) == .uploadFailed(.count, .incomplete))
            }
        }

        @Test(arguments: ServerMode.allCases) func readersThatAreCancelledOrOneTooMany(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.send(UploadTests.head(.cancel, "Content-Length: 2"))
                #expect(try connection.takeResponse().body == "failed CancellationError()")
                try connection.send([0, 1])
                try connection.send(UploadTests.head(.twice, "Content-Length: 2\r\nExpect: 100-continue"))
                #expect(try connection.take(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                let other = try Connection(port: server.port)
                #expect(try other.get("/").body == "0 ignored")
                try connection.send([0, 1])
                #expect(try connection.takeResponse().body == "2 true")
            }
        }

        /// Detached readers are cancelled in all phases of their wait, and then one reads what comes piece by piece.
        @Test(arguments: ServerMode.allCases) func readersOutsideOfTheMainActor(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.send(UploadTests.head(.detached, "Content-Length: 300000"))
                let begin = try connection.take(through: "cancelled\r\n")
                #expect(begin?.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
                for _ in 0..<300 { try connection.send(UploadTests.bytes(1000)) }
                let rest = try connection.take(through: "0\r\n\r\n")
                #expect(rest?.contains("300000 bytes") == true)
            }
        }

        @Test(arguments: ServerMode.allCases) func continueIsSaidToWhomTheHandlerListens(_ mode: ServerMode) throws {
            try ServerProcess.run(.upload, mode) { server in
                let connection = try Connection(port: server.port)
                try connection.send(UploadTests.head(.count, "Content-Length: 2\r\nExpect: 100-continue"))
                #expect(try connection.take(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                try connection.send([0, 1])
                let answer = try connection.takeResponse().body
                #expect(answer == "2 true")
                try connection.send(UploadTests.head(.refuse, "Content-Length: 2\r\nExpect: 100-continue"))
                #expect(try connection.takeResponse().status == 417)
                #expect(try connection.takeRest() == [])
            }
        }

        /// The worker that has begun it receives its body to the end, and leaves everything else to its successor.
        @Test func anUploadIsFinishedByTheWorkerThatIsReplaced() throws {
            try ServerProcess.run(.upload, .process) { server in
                let worker = try server.process("worker 0")
                let connection = try Connection(port: server.port)
                try connection.send(UploadTests.head(.count, "Content-Length: 2\r\nExpect: 100-continue"))
                #expect(try connection.take(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                let other = try Connection(port: server.port)
                server.signal(10)
                try server.workerStart(0, 2)
                try other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                try connection.send([0])
                try connection.send([1])
                #expect(try connection.takeResponse().body == "2 true")
                #expect(try other.takeResponse().body == "0 ignored")
                #expect(try connection.get("/").body == "0 ignored")
                #expect(try server.process("worker 0") != worker)
            }
        }

        @Test func anUploadDiesWithItsWorkerAndItsConnectionDoesNot() throws {
            try ServerProcess.run(.upload, .process) { server in
                let worker = try server.process("worker 0")
                let connection = try Connection(port: server.port)
                try connection.send(UploadTests.head(.echo, "Content-Length: 20000"))
                let other = try Connection(port: server.port)
                try other.send(UploadTests.head(.count, "Content-Length: 20000\r\nExpect: 100-continue"))
                // The worker has both: one handler reads, the other one writes.
                #expect(try other.take(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                try other.send([0])
                try connection.send([UInt8](repeating: 65, count: 10))
                #expect(try connection.take(through: "AAAAAAAAAA\r\n") != nil)
                server.signal(9, to: worker)
                #expect(try connection.takeRest() == [])
                #expect(connection.wasReset)
                try other.send(UploadTests.bytes(19_999))
                #expect(try other.takeResponse().status == 500)
                #expect(try other.get("/").body == "0 ignored")
            }
        }
    }
}
