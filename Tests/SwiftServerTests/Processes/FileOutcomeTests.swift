import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What is reported of responses whose bodies are files.
    @Suite struct FileOutcomeTests {
        @Test(arguments: [ServerMode.base, .process]) func sizeAndStatusOfAFileAreReported(_ mode: ServerMode) throws {
            try ServerProcess.run(.web, mode) { server in
                let connection = try Connection(port: server.port)
                let path = "/file?path=/etc/passwd"
                let size = try connection.get(path).body.utf8.count
                try #require(size > 10)
                for query in ["&offset=2", "&offset=3&length=4", "&offset=1&length=1000000000", "&offset=\(size)"] {
                    #expect(try connection.get(path + query).status == 200)
                }
                let sizes = [size, size - 2, 4, size - 1, 0]
                let outcomes = try connection.get("/outcomes").body
                #expect(outcomes == sizes.map { "200 \($0) true" }.joined(separator: ", "))
                // The client gets an error page, whose status is reported.
                for (query, status) in [
                    ("/nowhere", 404), ("/etc", 404), ("/etc/passwd/a", 404), ("/dev/null", 500),
                    ("/etc/passwd&offset=\(size + 1)", 500),
                ] {
                    #expect(try connection.get("/file?path=" + query).status == status)
                    #expect(try connection.get("/outcomes").body == "\(status) 0 true", "\(query)")
                }
            }
        }
    }
}
