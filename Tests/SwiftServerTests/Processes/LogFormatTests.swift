import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Lines of the application in the server's log, and its formats.
    @Suite struct LogFormatTests {
        private func log(_ format: LogFormat) throws -> (lines: [String], fd: ConnectionID) {
            let folder = try Folder()
            var fd = ConnectionID(rawValue: 0)
            try ServerProcess.run(.noisy, .process) {
                $0.logFile = folder.file("log")
                $0.logFormat = format
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("own") == "logged")
                fd = client.fd
            }
            return (folder.text("log").split(separator: "\n").map(String.init), fd)
        }

        @Test func textIsOneLine() throws {
            let (lines, fd) = try log(.text)
            let own = lines.filter { $0.contains("[") && $0.contains(" worker 0] ") }
            #expect(own.contains { $0.hasSuffix(" worker 0] notice: started rooms=12") })
            #expect(
                own.contains {
                    $0.hasSuffix("] warning: two\\nlines room=\"a \\\"b\\\\\" fd=\(fd) address=127.0.0.1")
                }, "\(own)")
            #expect(!lines.contains { $0.contains("hidden") })
        }

        @Test func jsonIsAnObjectOnEachLine() throws {
            let (lines, fd) = try log(.json)
            let objects = try lines.map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)")
            }
            #expect(objects.contains { "\($0["message"] ?? "")".hasPrefix("listening on ") })
            for object in objects {
                #expect(object["pid"] is Int && object["level"] is String && object["process"] is String)
                #expect("\(object["time"] ?? "")".wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil)
            }
            let own = try #require(objects.first { $0["message"] as? String == "two\nlines" })
            #expect(own["process"] as? String == "worker 0" && own["level"] as? String == "warning")
            let fields = ["room": "a \"b\\", "fd": "\(fd)", "address": "127.0.0.1"]
            #expect(own["fields"] as? [String: String] == fields)
        }
    }
}
