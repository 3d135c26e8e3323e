import CReactor
import Glibc
import Testing

@testable import SwiftServer

@Suite struct RequestTests {
    /// A payload as the core makes it of a head, for the text of a request.
    static func payload(_ text: String) throws -> [UInt8] {
        let bytes = [UInt8](text.utf8)
        var head = cre_http_head()
        var fields = [cre_http_field](repeating: cre_http_field(), count: Int(CRE_HTTP_DEFAULT_FIELDS))
        let length = unsafe cre_http_parse_request(bytes, bytes.count, 0, nil, &head, &fields)
        try #require(length > 0)
        let start = unsafe withUnsafeBytes(of: head) { unsafe [UInt8]($0) }
        let table = unsafe fields[..<Int(head.field_count)].withUnsafeBytes { unsafe [UInt8]($0) }
        return start + table + bytes
    }

    static func request(_ text: String) throws -> Request {
        let bytes = try payload(text)
        return try #require(unsafe bytes.withUnsafeBytes { unsafe Request(fd: ConnectionID(rawValue: 7), payload: $0) })
    }

    /// A request as HTTP/2 delivers it: its head has the form of HTTP/1 heads, but another version.
    static func requestOfHTTP2(_ text: String) throws -> Request {
        var bytes = try payload(text)
        unsafe bytes.withUnsafeMutableBytes {
            var head = unsafe $0.loadUnaligned(as: cre_http_head.self)
            head.minor = 0
            head.flags |= UInt16(CRE_HTTP_2)
            unsafe $0.storeBytes(of: head, as: cre_http_head.self)
        }
        return try #require(unsafe bytes.withUnsafeBytes { unsafe Request(fd: ConnectionID(rawValue: 7), payload: $0) })
    }

    static let example = """
        POST /a%20b/c?x=1&y HTTP/1.1\r\nHost: example.com:8080\r\nContent-Length: 4\r\nX-Two:  first \r\n\
        Cookie: a=1; b=\"2\"\r\nx-two: second\r\ncookie: c=3\r\n\r\nbody
        """

    @Test func partsOfARequest() throws {
        let request = try RequestTests.request(RequestTests.example)
        #expect(request.fd == ConnectionID(rawValue: 7))
        #expect(request.method == "POST")
        #expect(request.target == "/a%20b/c?x=1&y")
        #expect(request.path == "/a%20b/c")
        #expect(request.queryString == "x=1&y")
        #expect(request.host == "example.com:8080")
        #expect(request.body == [UInt8]("body".utf8))
    }

    /// The texts of request lines are made without a look at their bytes, so the parser must refuse all others.
    @Test func requestLinesAreASCII() throws {
        for size in [0, 1, 13, 14, 15, 16, 40, 300] {
            let path = "/" + String(repeating: "a%c3/", count: 60).prefix(size)
            let request = try RequestTests.request("A-METHOD \(path)?\(path) HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(request.path == path && request.queryString == path && request.target == "\(path)?\(path)")
            #expect(request.path.utf8.elementsEqual(path.utf8) && request.path.unicodeScalars.count == path.utf8.count)
            #expect(request.method == "A-METHOD")
        }
        for byte in UInt8(0x80)...0xff {
            for text in ["GET /", "GET /a?", "GET http://a/", "GET", "GET /" + String(repeating: "a", count: 60)] {
                let line = [UInt8](text.utf8) + [byte] + [UInt8](" / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
                var head = cre_http_head()
                var fields = [cre_http_field](repeating: cre_http_field(), count: Int(CRE_HTTP_DEFAULT_FIELDS))
                #expect(unsafe cre_http_parse_request(line, line.count, 0, nil, &head, &fields) < 0)
            }
        }
    }

    @Test func aRequestDescribesItself() throws {
        let request = try RequestTests.request(RequestTests.example)
        #expect("\(request)" == "POST /a%20b/c?x=1&y HTTP/1.1")
        #expect(request.debugDescription.hasPrefix("POST /a%20b/c?x=1&y HTTP/1.1\nHost: example.com:8080\n"))
        var text = ""
        dump(request, to: &text)
        #expect(text.contains("- method: \"POST\""))
        #expect(!text.contains("storage"))
    }

    @Test func versions() throws {
        let trailers = "Host: a\r\nTE: trailers\r\n\r\n"
        let old = try RequestTests.request("GET / HTTP/1.0\r\n" + trailers)
        let usual = try RequestTests.request("GET / HTTP/1.1\r\n" + trailers)
        let new = try RequestTests.requestOfHTTP2("GET / HTTP/1.1\r\n" + trailers)
        #expect([old, usual, new].map(\.httpVersion) == ["1.0", "1.1", "2"])
        #expect([old, usual, new].map(\.acceptsTrailers) == [false, true, true])
        #expect("\(new)" == "GET / HTTP/2")
    }

    @Test func theRawRequestIsKept() throws {
        let request = try RequestTests.request(RequestTests.example)
        #expect(request.raw == [UInt8](RequestTests.example.utf8))
        #expect(request.httpVersion == "1.1")
        #expect(request.scheme == "http")
        #expect(request.remoteAddress == nil)
        #expect(abs(request.time - Double(time(nil))) < 60)
        #expect(try RequestTests.request("GET / HTTP/1.0\r\n\r\n").httpVersion == "1.0")
    }

    @Test func pathsAreDecoded() throws {
        func decoded(_ path: String) throws -> String? {
            try RequestTests.request("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n").decodedPath
        }
        #expect(try decoded("/a%20b/%C3%A9") == "/a b/é")
        #expect(try decoded("/") == "/")
        #expect(try decoded("/a+b%2F..") == "/a+b/..")
        #expect(try decoded("/a%2") == nil)
    }

    @Test func fieldsAreFoundInAnyLetterCase() throws {
        let header = try RequestTests.request(RequestTests.example).header
        #expect(header["HOST"] == "example.com:8080")
        #expect(header["x-two"] == "first")
        #expect(header.all("X-TWO") == ["first", "second"])
        #expect(header["missing"] == nil)
        #expect(header.count == 6)
        #expect(header.map(\.name) == ["Host", "Content-Length", "X-Two", "Cookie", "x-two", "cookie"])
    }

    @Test func cookiesOfAllFields() throws {
        let cookies = try RequestTests.request(RequestTests.example).cookies
        #expect(cookies["a"] == "1")
        #expect(cookies["c"] == "3")
        #expect(cookies.count == 3)
    }

    @Test func firstCookieOfANameCounts() throws {
        let request = try RequestTests.request("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; a=2\r\n\r\n")
        #expect(request.cookies == ["a": "1"])
    }

    @Test func noQueryIsNotAnEmptyOne() throws {
        #expect(try RequestTests.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").queryString == nil)
        #expect(try RequestTests.request("GET /? HTTP/1.1\r\nHost: a\r\n\r\n").queryString == "")
    }

    @Test func partsThatAreMissingAreEmpty() throws {
        let request = try RequestTests.request("GET / HTTP/1.0\r\n\r\n")
        #expect(request.host == "" && request.body.isEmpty && request.cookies.isEmpty && request.header.count == 0)
        #expect(request.header.all("a").isEmpty && request.query["a"] == nil)
    }

    /// Requests that were kept are not overwritten by later ones, which use the memory of others.
    @Test func keptRequestsStayAsTheyAre() throws {
        var memory = RequestMemory()
        var kept: [Request] = []
        let names = (0..<40).map { String(repeating: "\($0)-", count: $0 * 20 % 1300) }
        for (index, name) in names.enumerated() {
            let fields = index % 7 == 3 ? "Upgrade: websocket\r\nConnection: Upgrade\r\n" : ""
            let payload = try RequestTests.payload("GET /\(name) HTTP/1.1\r\nHost: a\r\n\(fields)\r\nbody\(index)")
            let request = unsafe payload.withUnsafeBytes {
                unsafe Request(
                    fd: ConnectionID(rawValue: 7), number: 0, receivedAt: 0, payload: $0, reusing: &memory)
            }
            let made = try #require(request)
            #expect(made.path == "/" + name && made.body == [UInt8]("body\(index)".utf8))
            if index % 3 != 0 { kept.append(made) }
        }
        #expect(kept.map(\.path) == names.enumerated().filter { $0.offset % 3 != 0 }.map { "/" + $0.element })
        #expect(kept.last?.body == [UInt8]("body38".utf8))
    }

    @Test func payloadsThatAreCutOffAreRefused() throws {
        let bytes = try RequestTests.payload("GET /path HTTP/1.1\r\nHost: a\r\n\r\n")
        for count in bytes.indices {
            let request = unsafe bytes[..<count].withUnsafeBytes {
                unsafe Request(fd: ConnectionID(rawValue: 1), payload: $0)
            }
            #expect(request == nil, "\(count) of \(bytes.count) bytes")
        }
    }
}

@Suite struct QueryTests {
    private func pairs(_ text: String) -> [String] { Request.Query(text: text).map { "\($0.name)=\($0.value)" } }

    @Test(arguments: [
        ("", []), ("a=1", ["a=1"]), ("a=1&b=2", ["a=1", "b=2"]), ("a", ["a="]), ("a=", ["a="]), ("=b", ["=b"]),
        ("a=b=c", ["a=b=c"]), ("a+b=c+d", ["a b=c d"]), ("%41=%c3%A4", ["A=ä"]), ("a=%26%3D", ["a=&="]),
        ("a=%F0%9F%98%80", ["a=😀"]), ("a=1&&b=2", ["a=1", "b=2"]),
    ])
    func argumentsAreDecoded(_ text: String, _ expected: [String]) {
        #expect(pairs(text) == expected)
    }

    @Test(arguments: ["a=%", "a=%4", "a=%zz", "%zz=1"]) func brokenEscapesAreLeftOut(_ text: String) {
        #expect(pairs(text) == [])
        #expect(pairs("x=1&\(text)&y=2") == ["x=1", "y=2"])
    }

    @Test func firstOfANameCounts() {
        let query = Request.Query(text: "a=1&b=2&a=3")
        #expect(query["a"] == "1" && query["b"] == "2" && query["c"] == nil)
    }

    @Test func bytesThatAreNotUTF8AreReplaced() {
        #expect(pairs("a=%FF") == ["a=\u{FFFD}"])
    }
}
