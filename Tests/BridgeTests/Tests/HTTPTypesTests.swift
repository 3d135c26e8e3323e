import HTTPTypes
import SwiftServerHTTPTypes
import SwiftServerTesting
import Testing

extension BridgeTests {
    @Suite struct HTTPTypesTests {
        @Test func requestsHaveTheSharedType() async throws {
            let recorder = Recorder<HTTPRequest?>()
            let server = HTTPServer(port: 0, mode: .single)
            server.onRequest { request, response in
                recorder.add(HTTPRequest(request))
                response.end()
            }
            try await withServer(server) { client in
                _ = try await client.request(
                    "PUT", "/a%20b?x=1", fields: [("Host", "example.com:80"), ("X-List", "1"), ("x-list", "2")])
                _ = try await client.request("OPTIONS", "*", fields: [("Host", "example.com")])
            }
            let requests = recorder.values.compactMap { $0 }
            try #require(requests.count == 2)
            #expect(requests[0].method.rawValue == "PUT" && requests[0].scheme == "http")
            #expect(requests[0].authority == "example.com:80" && requests[0].path == "/a%20b?x=1")
            #expect(requests[0].headerFields.map(\.name.canonicalName) == ["x-list", "x-list"])
            #expect(requests[0].headerFields.map(\.value) == ["1", "2"])
            #expect(requests[1].method.rawValue == "OPTIONS" && requests[1].path == "*")
        }

        @Test func responsesTakeTheSharedType() async throws {
            let results = Recorder<ResponseResult>()
            let server = HTTPServer(port: 0, mode: .single)
            server.onRequest { request, response in
                var head = HTTPResponse(status: request.path == "/bad" ? 102 : 207)
                head.headerFields.append(HTTPField(name: HTTPField.Name("X-List")!, value: "1"))
                head.headerFields.append(HTTPField(name: HTTPField.Name("X-List")!, value: "2"))
                results.add(request.path == "/bytes" ? response.end(head, [98]) : response.end(head, "text"))
            }
            try await withServer(server) { client in
                let text = try await client.get("/")
                #expect(text.status == 207 && text.body == "text" && text.all("x-list") == ["1", "2"])
                let bytes = try await client.get("/bytes")
                #expect(bytes.body == "b")
                // The status is none of a response, so nothing was sent: the server answers for the handler.
                let bad = try await client.get("/bad")
                #expect(bad.body == "")
            }
            #expect(results.values == [.accepted, .accepted, .invalid])
        }
    }
}
