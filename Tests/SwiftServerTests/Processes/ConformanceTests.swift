import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What RFC 9110, 9112 and 6265 require of an origin server; `docs/http-conformance.md` names these cases.
    @Suite struct ConformanceTests {
        /// Bytes that a client sends, and what it gets.
        struct Case {
            let name: String
            let bytes: String
            var responses: [Expected]
            /// Whether the connection is closed behind the last response.
            var closes = false
        }

        struct Expected {
            var status: Int
            var body: String?
            /// Fields and their values; `nil`: the field must not be there, `"*"`: it has any value.
            var fields: [String: String?] = [:]
            /// Whether the response has a body, if its fields say so.
            var hasBody = true
        }

        @Test(arguments: ServerMode.supervised) func requestsAndResponses(_ mode: ServerMode) throws {
            try ServerProcess.run(.conformance, mode) { server in
                var connection = try Connection(port: server.port)
                for entry in ConformanceTests.cases {
                    do {
                        try connection.send(entry.bytes)
                        for expected in entry.responses { try expect(expected, on: connection, entry.name) }
                        guard entry.closes else { continue }
                        let rest = try connection.takeRest()
                        #expect(rest.isEmpty && !connection.wasReset, "\(entry.name)")
                    } catch { Issue.record("\(entry.name): \(error)") }
                    connection = try Connection(port: server.port)
                }
                #expect(try connection.get("/last").status == 200)
            }
        }

        private func expect(_ expected: Expected, on connection: Connection, _ name: String) throws {
            let isBodiless = !expected.hasBody || [204, 304].contains(expected.status) || expected.status < 200
            let response = try connection.takeResponse(hasBody: !isBodiless)
            #expect(response.status == expected.status, "\(name)")
            for (field, value) in expected.fields {
                let values = response.all(field)
                if value == "*" {
                    #expect(values.count == 1, "\(name): \(field) \(values)")
                } else {
                    #expect(values == (value.map { [$0] } ?? []), "\(name): \(field)")
                }
            }
            try checkFraming(response, name)
            guard let body = expected.body else { return }
            if response.all("Transfer-Encoding") == ["chunked"], !isBodiless {
                #expect(try connection.take(through: "0\r\n\r\n") == body, "\(name)")
            } else if response.all("Content-Length").isEmpty, !isBodiless {
                #expect(String(decoding: try connection.takeRest(), as: UTF8.self) == body, "\(name)")
            } else {
                #expect(response.body == body, "\(name)")
            }
        }

        /// Rules for every response.
        private func checkFraming(_ response: HTTPResponse, _ name: String) throws {
            let lengths = response.all("Content-Length")
            let codings = response.all("Transfer-Encoding")
            #expect(lengths.count + codings.count <= 1, "\(name)")
            if response.status < 200 || response.status == 204 {
                #expect(lengths.isEmpty && codings.isEmpty, "\(name)")
            }
            guard response.status >= 200 else { return }
            let dates = response.all("Date")
            #expect(dates.count == 1, "\(name)")
            let pattern = /(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/
            #expect(try pattern.wholeMatch(in: dates.first ?? "") != nil, "\(name)")
        }

        /// A HEAD request gets the fields of a GET request for everything there is (RFC 9110, section 9.3.2).
        @Test(arguments: ServerMode.supervised) func headIsGETWithoutABody(_ mode: ServerMode) throws {
            try ServerProcess.run(.conformance, mode) { server in
                let connection = try Connection(port: server.port)
                let coding = "Accept-Encoding: gzip\r\n"
                let targets = [
                    "/whole/200", "/whole/201", "/whole/204", "/whole/205", "/whole/404", "/whole/500", "/pieces/200",
                    "/pieces/204", "/pieces/205", "/large", "/versioned", "/future", "/set-cookies", "/fails",
                    "/upgradeable", "/whole/x",
                ]
                for target in targets {
                    for fields in ["", coding, "If-None-Match: \"v1\"\r\n", "Range: bytes=0-1\r\n"] {
                        try connection.sendRequest(target, fields: fields)
                        let get = try connection.takeResponse(hasBody: !target.contains("204"))
                        if get.all("Transfer-Encoding") == ["chunked"] { _ = try connection.take(through: "0\r\n\r\n") }
                        try connection.sendRequest(target, method: "HEAD", fields: fields)
                        let head = try connection.takeResponse(hasBody: false)
                        #expect(head.status == get.status, "\(target) \(fields)")
                        // The length of a compressed body is known only when it has been compressed.
                        func compared(_ response: HTTPResponse) -> [String] {
                            response.fields.map { "\($0.name): \($0.value)" }.filter {
                                !$0.hasPrefix("Date: ") && !(fields == coding && $0.hasPrefix("Content-Length: "))
                            }
                        }
                        #expect(compared(head) == compared(get), "\(target) \(fields)")
                    }
                }
                #expect(try connection.get("/last").status == 200)
            }
        }
    }
}
