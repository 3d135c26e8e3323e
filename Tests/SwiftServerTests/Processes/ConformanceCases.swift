import SwiftServer
import Testing

extension ProcessTests.ConformanceTests {
    private static func request(
        _ line: String = "GET /a HTTP/1.1", _ fields: String..., host: String? = "a", body: String = ""
    ) -> String {
        let lines = [line] + (host.map { ["Host: \($0)"] } ?? []) + fields
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    /// Served, with the body `body`, and the connection is kept.
    private static func served(
        _ name: String, _ bytes: String, _ body: String, _ fields: [String: String?] = [:], status: Int = 200
    ) -> Case {
        Case(name: name, bytes: bytes, responses: [Expected(status: status, body: body, fields: fields)])
    }

    /// Refused with `status` and closed, without a further response to bytes behind it.
    private static func refused(_ name: String, _ status: Int = 400, _ bytes: String) -> Case {
        let fields: [String: String?] = ["Connection": "close", "Content-Type": "*"]
        return Case(
            name: name, bytes: bytes + request(), responses: [Expected(status: status, fields: fields)], closes: true)
    }

    private static func without(_ name: String, _ status: Int, _ bytes: String, _ fields: [String: String?]) -> Case {
        Case(name: name, bytes: bytes, responses: [Expected(status: status, body: "", fields: fields, hasBody: false)])
    }

    static let cases: [Case] = syntax + targets + framing + connections + methods + statuses + conditions + state

    private static let syntax: [Case] = [
        served("empty line first", "\r\n" + request(), "GET /a a 0"),
        served("field names in any letter case", request("GET /a HTTP/1.1", "hOsT: b", host: nil), "GET /a b 0"),
        served(
            "white space around values", request("GET /cookies HTTP/1.1", "Cookie: \t a=1;  b=2 \t"), "1 2"),
        served("field without white space", "GET /a HTTP/1.1\r\nHost:b\r\n\r\n", "GET /a b 0"),
        served("obs-text in a value", request("GET /a HTTP/1.1", "X: \u{e4}\u{fc}"), "GET /a a 0"),
        served(
            "unknown fields", request("GET /a HTTP/1.1", "X-Unknown: 1", "From: b", "Max-Forwards: 0"), "GET /a a 0"),
        served("empty value", request("GET /a HTTP/1.1", "X:"), "GET /a a 0"),
        served(
            "long request line", request("GET /\(String(repeating: "a", count: 7980)) HTTP/1.1"),
            "GET /\(String(repeating: "a", count: 7980)) a 0"),
        served("later HTTP/1 version", request("GET /a HTTP/1.7"), "GET /a a 0"),
        served("method names are case-sensitive", request("get /whole/200 HTTP/1.1"), "Not Implemented\n", status: 501),
        refused("line feed alone", 400, "GET /a HTTP/1.1\nHost: a\n\n"),
        refused("carriage return alone", 400, "GET /a HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n"),
        refused("line feed in a value", 400, "GET /a HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n"),
        refused("NUL in a value", 400, "GET /a HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"),
        refused("control character in a value", 400, "GET /a HTTP/1.1\r\nHost: a\r\nX: b\u{1}c\r\n\r\n"),
        refused("white space before the first field", 400, "GET /a HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n"),
        refused("folded field", 400, "GET /a HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"),
        refused("white space before the colon", 400, "GET /a HTTP/1.1\r\nHost : a\r\n\r\n"),
        refused("field without a colon", 400, "GET /a HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
        refused("two spaces in the request line", 400, "GET  /a HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("no version", 400, "GET /a\r\nHost: a\r\n\r\n"),
        refused("version in lower case", 400, "GET /a http/1.1\r\nHost: a\r\n\r\n"),
        refused("other major version", 505, "GET /a HTTP/2.0\r\nHost: a\r\n\r\n"),
        refused("request line too long", 414, "GET /\(String(repeating: "a", count: 65_000)) HTTP/1.1\r\n\r\n"),
        refused("fields too large", 431, request("GET /a HTTP/1.1", "X: \(String(repeating: "a", count: 70_000))")),
    ]

    private static let targets: [Case] = [
        served("absolute form before Host", request("GET http://b:81/a?c HTTP/1.1"), "GET http://b:81/a?c b:81 0"),
        served("OPTIONS *", request("OPTIONS * HTTP/1.1"), "", ["Allow": "*"], status: 204),
        served("empty Host", request(host: ""), "GET /a  0"),
        refused("no Host", 400, "GET /a HTTP/1.1\r\n\r\n"),
        refused("no Host, absolute form", 400, "GET http://b/ HTTP/1.1\r\n\r\n"),
        refused("two Hosts", 400, request("GET /a HTTP/1.1", "Host: b")),
        refused("invalid Host", 400, request(host: "a/b")),
        refused("invalid Host beside the absolute form", 400, request("GET http://b/ HTTP/1.1", host: "a b")),
        refused("http URI without a host", 400, request("GET http:///a HTTP/1.1")),
        refused("https URI without a host", 400, request("GET https:///a HTTP/1.1")),
        refused("user information in the target", 400, request("GET http://u@b/ HTTP/1.1")),
        refused("* for another method", 400, request("GET * HTTP/1.1")),
        refused("fragment in the target", 400, request("GET /a#b HTTP/1.1")),
        refused("CONNECT", 501, request("CONNECT b:443 HTTP/1.1")),
        refused("CONNECT without a port", 400, request("CONNECT b HTTP/1.1")),
    ]

    private static let chunked = "Transfer-Encoding: chunked"

    private static let framing: [Case] = [
        served("body with a length", request("POST /a HTTP/1.1", "Content-Length: 3", body: "abc"), "POST /a a 3"),
        served("no body without a length", request("POST /a HTTP/1.1"), "POST /a a 0"),
        served("GET with a body", request("GET /a HTTP/1.1", "Content-Length: 3", body: "abc"), "GET /a a 3"),
        served(
            "chunks with extensions and trailers",
            request("POST /a HTTP/1.1", chunked, body: "3;x=\"y\" ;z\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n"),
            "POST /a a 13"),
        served(
            "white space around extensions",
            request("POST /a HTTP/1.1", chunked, body: "3 \t; x = \"y\"\r\nabc\r\n0\r\n\r\n"), "POST /a a 3"),
        served(
            "Content-Range of a request",
            request("PUT /a HTTP/1.1", "Content-Range: bytes 5-5/9", "Content-Length: 1", body: "x"), "PUT /a a 1"),
        served(
            "coding names in any letter case",
            request("POST /a HTTP/1.1", "Transfer-Encoding: CHUNKED", body: "0\r\n\r\n"),
            "POST /a a 0"),
        refused("length and coding", 400, request("POST /a HTTP/1.1", "Content-Length: 3", chunked, body: "0\r\n\r\n")),
        refused("two different lengths", 400, request("POST /a HTTP/1.1", "Content-Length: 3", "Content-Length: 4")),
        refused("list of lengths", 400, request("POST /a HTTP/1.1", "Content-Length: 3, 4")),
        refused("negative length", 400, request("POST /a HTTP/1.1", "Content-Length: -3")),
        refused("length beyond 64 bits", 400, request("POST /a HTTP/1.1", "Content-Length: 18446744073709551617")),
        refused("unknown coding", 501, request("POST /a HTTP/1.1", "Transfer-Encoding: gzip, chunked")),
        refused("chunked is not last", 400, request("POST /a HTTP/1.1", "Transfer-Encoding: chunked, gzip")),
        refused("chunked with a parameter", 400, request("POST /a HTTP/1.1", "Transfer-Encoding: chunked;x=1")),
        refused("chunked twice", 400, request("POST /a HTTP/1.1", "Transfer-Encoding: chunked, chunked")),
        refused("coding in HTTP/1.0", 400, request("POST /a HTTP/1.0", chunked, body: "0\r\n\r\n")),
        refused("chunk size of no digits", 400, request("POST /a HTTP/1.1", chunked, body: "x\r\n")),
        refused("chunk size beyond 64 bits", 413, request("POST /a HTTP/1.1", chunked, body: "10000000000000000\r\n")),
        refused("chunk longer than its size", 400, request("POST /a HTTP/1.1", chunked, body: "1\r\nabc\r\n")),
        refused("chunk ended by a line feed", 400, request("POST /a HTTP/1.1", chunked, body: "1\na\r\n0\r\n\r\n")),
        refused("body too large", 413, request("POST /a HTTP/1.1", "Content-Length: 100001")),
    ]

    private static func several(_ name: String, _ bytes: String, closes: Bool, _ responses: Expected...) -> Case {
        Case(name: name, bytes: bytes, responses: responses, closes: closes)
    }

    private static func expected(_ status: Int, _ body: String? = nil, _ fields: [String: String?] = [:]) -> Expected {
        Expected(status: status, body: body, fields: fields)
    }

    private static let connections: [Case] = [
        served("HTTP/1.1 keeps the connection", request(), "GET /a a 0", ["Connection": nil]),
        served(
            "HTTP/1.0 with keep-alive", request("GET /a HTTP/1.0", "Connection: Keep-Alive"), "GET /a a 0",
            ["Connection": "keep-alive"]),
        several(
            "HTTP/1.0 closes", request("GET /a HTTP/1.0"), closes: true,
            expected(200, "GET /a a 0", ["Connection": "close"])),
        several(
            "HTTP/1.0 without Host", request("GET /a HTTP/1.0", host: nil), closes: true, expected(200, "GET /a  0")),
        several(
            "close is the last request", request("GET /a HTTP/1.1", "Connection: x, Close") + request(), closes: true,
            expected(200, "GET /a a 0", ["Connection": "close"])),
        several(
            "close beside keep-alive", request("GET /a HTTP/1.0", "Connection: keep-alive, close"), closes: true,
            expected(200, nil, ["Connection": "close"])),
        several(
            "responses in the order of requests",
            request("GET /pieces/200 HTTP/1.1") + request("GET /1 HTTP/1.1") + request("POST /2 HTTP/1.1"),
            closes: false, expected(200, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), expected(200, "GET /1 a 0"),
            expected(200, "POST /2 a 0")),
        several(
            "no chunks for HTTP/1.0", request("GET /pieces/200 HTTP/1.0", "Connection: keep-alive"), closes: true,
            expected(200, "onetwo", ["Transfer-Encoding": nil, "Connection": "close"])),
        several(
            "100 for a client that waits", request("POST /a HTTP/1.1", "Content-Length: 3", "Expect: 100-Continue"),
            closes: false, Expected(status: 100, hasBody: false)),
        served("body behind 100", "abc", "POST /a a 3"),
        served(
            "100 in HTTP/1.0 has no effect",
            request(
                "POST /a HTTP/1.0", "Connection: keep-alive", "Content-Length: 1", "Expect: 100-continue", body: "x"),
            "POST /a a 1"),
        served(
            "100 without a body has no effect", request("GET /a HTTP/1.1", "Expect: 100-continue"), "GET /a a 0"),
        served(
            "100 with the body has no effect",
            request("POST /a HTTP/1.1", "Content-Length: 1", "Expect: 100-continue", body: "x"), "POST /a a 1"),
        refused("other expectations", 417, request("POST /a HTTP/1.1", "Content-Length: 1", "Expect: magic")),
        refused(
            "413 in place of 100", 413,
            request("POST /a HTTP/1.1", "Content-Length: 100001", "Expect: 100-continue")),
        served(
            "Upgrade to an unknown protocol", request("GET /a HTTP/1.1", "Upgrade: h2c", "Connection: upgrade"),
            "GET /a a 0"),
        served(
            "Upgrade in HTTP/1.0",
            request("GET /a HTTP/1.0", "Upgrade: websocket", "Connection: upgrade, keep-alive"), "GET /a a 0"),
        several(
            "426 names the protocol",
            request(
                "GET /a HTTP/1.1", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 8",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), closes: true,
            expected(426, nil, ["Upgrade": "websocket", "Connection": "upgrade, close", "Sec-WebSocket-Version": "13"])),
        served(
            "426 of a handler", request("GET /upgradeable HTTP/1.1"), "",
            ["Upgrade": "example/1", "Connection": "upgrade"], status: 426),
    ]

    private static let methods: [Case] = [
        without("HEAD has no body", 200, request("HEAD /whole/200 HTTP/1.1"), ["Content-Length": "4"]),
        served(
            "405 lists the methods", request("DELETE /whole/200 HTTP/1.1"), "Method Not Allowed\n", ["Allow": "*"],
            status: 405),
        served(
            "TRACE is not there", request("TRACE /whole/200 HTTP/1.1"), "Method Not Allowed\n", ["Allow": "*"],
            status: 405),
        served("OPTIONS lists the methods", request("OPTIONS /whole/200 HTTP/1.1"), "", ["Allow": "*"], status: 204),
        served("unknown method", request("BREW /whole/200 HTTP/1.1"), "Not Implemented\n", status: 501),
    ]

    private static let statuses: [Case] = [
        without("204 has no body", 204, request("GET /whole/204 HTTP/1.1"), ["Content-Type": nil]),
        without("204 in pieces has no body", 204, request("GET /pieces/204 HTTP/1.1"), [:]),
        served("205 has an empty body", request("GET /whole/205 HTTP/1.1"), "", ["Content-Length": "0"], status: 205),
        served("205 in pieces has an empty body", request("GET /pieces/205 HTTP/1.1"), "", status: 205),
        without("304 has no body", 304, request("GET /pieces/304 HTTP/1.1"), ["Transfer-Encoding": nil]),
        served("unknown statuses", request("GET /whole/299 HTTP/1.1"), "body", status: 299),
        served(
            "a handler that fails", request("GET /fails HTTP/1.1"), "Internal Server Error\n",
            ["Content-Type": "text/plain; charset=utf-8"], status: 500),
        served("text has a type", request(), "GET /a a 0", ["Content-Type": "text/plain; charset=utf-8"]),
    ]

    private static let current: [String: String?] = [
        "ETag": "\"v1\"", "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control": "max-age=60",
        "Vary": "Accept", "Content-Location": "/versioned.1", "Date": "*",
    ]

    private static func versioned(_ fields: String, method: String = "GET") -> String {
        request("\(method) /versioned HTTP/1.1", fields)
    }

    private static let conditions: [Case] = [
        served("validators", versioned("X-A: 1"), "version 1", current),
        without("304 has the fields of 200", 304, versioned("If-None-Match: W/\"v1\""), current),
        without("304 for HEAD", 304, versioned("If-None-Match: *", method: "HEAD"), current),
        without(
            "304 by date", 304, versioned("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), current),
        without(
            "RFC 850 dates", 304, versioned("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"), [:]),
        without("asctime dates", 304, versioned("If-Modified-Since: Sun Nov  6 08:49:37 1994"), [:]),
        served("invalid dates are ignored", versioned("If-Modified-Since: yesterday"), "version 1"),
        served(
            "If-None-Match before If-Modified-Since",
            request(
                "GET /versioned HTTP/1.1", "If-None-Match: \"v0\"",
                "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), "version 1"),
        served(
            "412 for a change", versioned("If-None-Match: *", method: "PUT"), "Precondition Failed\n", status: 412),
        served(
            "If-Match compares strongly", versioned("If-Match: W/\"v1\"", method: "PUT"), "Precondition Failed\n",
            status: 412),
        served(
            "412 by date", versioned("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", method: "PUT"),
            "Precondition Failed\n", status: 412),
        served(
            "two dates are ignored",
            request(
                "GET /versioned HTTP/1.1", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
                "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), "version 1"),
        served("conditions of OPTIONS", versioned("If-None-Match: *", method: "OPTIONS"), "version 1"),
        served(
            "If-Modified-Since is for GET",
            versioned("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", method: "PUT"),
            "version 1"),
        without(
            "Last-Modified is not in the future", 304,
            request("GET /future HTTP/1.1", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"), ["Last-Modified": "*"]),
        served("Range without support", request("GET /whole/200 HTTP/1.1", "Range: bytes=0-1"), "body"),
    ]

    private static let state: [Case] = [
        served("cookies", request("GET /cookies HTTP/1.1", "Cookie: b=2; a=1"), "1 2"),
        served("several Cookie fields", request("GET /cookies HTTP/1.1", "Cookie: a=1", "Cookie: b=2"), "1 2"),
        served("malformed cookies are skipped", request("GET /cookies HTTP/1.1", "Cookie: ;;=;b;a=1;"), "1 -"),
    ]
}
