import Foundation
import SwiftServer
import Testing

extension BridgeTests {
    /// Bridges in the processes of a server.
    @Suite struct ProcessTests {
        /// A run of `bridge-program`, with its output.
        private final class Program: @unchecked Sendable {
            // `@unchecked`: one test uses it.
            private let process = Process()
            private let output = Pipe()
            private let errors = Pipe()
            private var rest: [UInt8] = []

            init(_ arguments: [String]) throws {
                // Where the test runner is, the other programs of the package are, too.
                let folder = URL(
                    fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(
                        atPath: "/proc/self/exe")
                ).deletingLastPathComponent()
                process.executableURL = folder.appendingPathComponent("bridge-program")
                process.arguments = arguments
                process.standardOutput = output
                process.standardError = errors
                process.standardInput = FileHandle.nullDevice
                try process.run()
            }

            deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

            /// Reads up to a line that begins like this, and returns the rest of that.
            func line(_ beginning: String) throws -> String {
                var line = ""
                repeat { line = try nextLine() } while !line.hasPrefix(beginning)
                return String(line.dropFirst(beginning.count))
            }

            /// The sum of a counter's increments, up to the next time that this process has published all.
            func total(_ counter: String, by pid: String, from start: Int = 0) throws -> Int {
                var (total, line) = (start, "")
                repeat {
                    line = try nextLine()
                    let words = line.split(separator: " ")
                    if words.count == 3, words[..<2] == ["counter", counter[...]] { total += Int(words[2])! }
                } while line != "published by \(pid)"
                return total
            }

            private func nextLine() throws -> String {
                let deadline = ContinuousClock.now + .seconds(20)
                while true {
                    if let end = rest.firstIndex(of: 10) {
                        defer { rest.removeSubrange(...end) }
                        return String(decoding: rest[..<end], as: UTF8.self)
                    }
                    var entry = pollfd(
                        fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
                    let milliseconds = (deadline - .now) / .milliseconds(1)
                    try #require(poll(&entry, 1, Int32(max(0, milliseconds))) > 0, "no further line")
                    let bytes = output.fileHandleForReading.availableData
                    try #require(!bytes.isEmpty, "the program has ended")
                    rest += bytes
                }
            }

            /// Stops the server, and returns what it has written to standard error.
            func stop() throws -> String {
                kill(process.processIdentifier, SIGTERM)
                let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                process.waitUntilExit()
                #expect(process.terminationStatus == 0)
                return text
            }
        }

        /// The body of the response to a request; `nil` when the connection ended without one.
        private func get(_ path: String, _ port: Int) throws -> String? {
            let client = try Client.connect(host: "127.0.0.1", port: port)
            defer { client.close() }
            try client.send("GET \(path) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            var response: [UInt8] = []
            while let bytes = try? client.recv(timeout: .seconds(10)) { response += bytes }
            return String(decoding: response, as: UTF8.self).components(separatedBy: "\r\n\r\n").dropFirst().first
        }

        @Test(arguments: ["process", "base"]) func workersUseTheBridges(_ mode: String) throws {
            let program = try Program([mode])
            let port = try #require(Int(try program.line("ready ")))
            let first = try #require(try get("/", port))
            var total = 0
            while total == 0 { total = try program.total("test.accepted", by: first) }
            #expect(total == 1)

            _ = try? get("/exit", port)
            let warning = try program.line("log warning [m")
            #expect(warning.contains("] SwiftServer: worker 0 (pid \(first)) ended with exit code 1"))
            // What its predecessor has published is not published again: three connections until now.
            let second = try #require(try get("/", port))
            #expect(second != first)
            while total < 3 { total = try program.total("test.accepted", by: second, from: total) }
            #expect(total == 3)

            let written = try program.stop().split(separator: "\n")
            let starts = written.filter { $0.contains(" worker 0] info: app: worker 0 starts pid=") }
            #expect(starts.count == 2, "\(written)")
        }
    }
}
