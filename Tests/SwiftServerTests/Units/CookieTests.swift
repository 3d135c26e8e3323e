import Testing

@testable import SwiftServer

@Suite struct CookieTests {
    @Test func attributes() throws {
        #expect(try Cookie("a", "1").field() == "a=1; Path=/; HttpOnly; SameSite=Lax")
        let plain = Cookie("a", "", path: nil, isHTTPOnly: false, sameSite: nil)
        #expect(try plain.field() == "a=")
        let full = Cookie(
            "id", "x", path: "/app", domain: "example.com", maxAge: .milliseconds(3_600_900), expires: 784_111_777.5,
            isSecure: true, sameSite: Cookie.SameSite.none, isPartitioned: true)
        #expect(
            try full.field()
                == "id=x; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=3600; Path=/app; Domain=example.com; Secure; "
                + "HttpOnly; SameSite=None; Partitioned")
        #expect(try Cookie("a", "1", maxAge: .seconds(-5)).field().contains("; Max-Age=0;"))
        #expect(try Cookie("a", "1", expires: 0).field().contains("; Expires=Thu, 01 Jan 1970 00:00:01 GMT;"))
        #expect(try Cookie("a", "1", expires: 1e300).field().contains("; Expires=Fri, 31 Dec 9999 23:59:59 GMT;"))
        #expect(try Cookie("a", "1", sameSite: .strict).field().hasSuffix("; SameSite=Strict"))
    }

    private static let refused: [(Cookie, String)] = [
        (Cookie("", "1"), "name"), (Cookie("a b", "1"), "name"), (Cookie("a=b", "1"), "name"),
        (Cookie("a\r\nX: ", "1"), "name"), (Cookie("a", "1;2"), "value"), (Cookie("a", "1 2"), "value"),
        (Cookie("a", "1\r\nX: y"), "value"), (Cookie("a", "\u{E4}"), "value"), (Cookie("a", "\"1\""), "value"),
        (Cookie("a", "1\0"), "value"), (Cookie("a", String(repeating: "x", count: 4096)), "4096"),
        (Cookie("a", "1", path: ""), "path"), (Cookie("a", "1", path: "x"), "path"),
        (Cookie("a", "1", path: "/;Domain=evil"), "path"), (Cookie("a", "1", path: "/\n"), "path"),
        (Cookie("a", "1", path: "/\0"), "path"), (Cookie("a", "1", domain: ""), "domain"),
        (Cookie("a", "1", domain: "a;b"), "domain"), (Cookie("a", "1", domain: "a b"), "domain"),
        (Cookie("a", "1", expires: .nan), "expires"), (Cookie("a", "1", sameSite: Cookie.SameSite.none), "sameSite"),
        (Cookie("a", "1", isPartitioned: true), "isPartitioned"), (Cookie("__Secure-a", "1"), "__Secure-"),
        (Cookie("__host-a", "1"), "__Host-"), (Cookie("__Host-a", "1", path: "/x", isSecure: true), "__Host-"),
        (Cookie("__Host-a", "1", domain: "a.b", isSecure: true), "__Host-"),
    ]

    @Test(arguments: refused.indices) func whatBrowsersRefuseIsRefused(_ index: Int) throws {
        let (cookie, part) = CookieTests.refused[index]
        let error = #expect(throws: CookieError.self) { try cookie.field() }
        #expect(error?.description.contains(part) == true, "\(String(describing: error))")
    }

    @Test func prefixes() throws {
        #expect(try Cookie("__Secure-a", "1", isSecure: true).field().hasPrefix("__Secure-a=1;"))
        #expect(try Cookie("__Host-a", "1", isSecure: true).field().contains("; Secure;"))
    }
}

@Suite struct RedirectTests {
    @Test(arguments: [
        ("/a?b=c#d", "/a?b=c#d"), ("https://example.com/", "https://example.com/"), ("/a b", "/a%20b"),
        ("/\u{E4}", "/%C3%A4"), ("/%20", "/%20"), ("/\\evil.com", "/%5Cevil.com"), ("\"<>", "%22%3C%3E"),
    ])
    func targetsAreEncoded(_ target: String, _ expected: String) {
        #expect(Response.location(target) == expected)
    }

    @Test(arguments: ["", "/\r\nSet-Cookie: a=1", "/\n", "/\0", "/\t", "/\u{7F}"])
    func controlCharactersAreRefused(_ target: String) {
        #expect(Response.location(target) == nil)
    }

    @Test func reasonPhrases() {
        #expect(Response.reasonPhrase(of: 404) == "Not Found")
        #expect(Response.reasonPhrase(of: 799) == "Unknown")
    }
}

@Suite struct PackedFieldsTests {
    @Test func fieldsAreReplacedAndRemoved() {
        var fields = PackedFields()
        #expect(fields.isEmpty && fields.first("a") == nil && fields.all.isEmpty)
        let taken = [fields.append("A", "1"), fields.append("b", ""), fields.append("a", "3")]
        #expect(taken == [true, true, true])
        #expect(fields.first("a") == "1" && fields.first("B") == "" && fields.first("c") == nil)
        let isReplaced = fields.set("a", "4")
        #expect(isReplaced && fields.all.map { "\($0.name)=\($0.value)" } == ["b=", "a=4"])
        let isSplit = fields.set("a", "5\r\n")
        #expect(!isSplit && fields.first("A") == "4")
        fields.remove("B")
        #expect(fields.all.map(\.name) == ["a"])
        fields.remove("a")
        #expect(fields.isEmpty)
    }

    @Test func manyFieldsKeepTheirOrder() {
        var fields = PackedFields()
        for _ in 0..<2 {
            let isTaken = fields.append("old", String(repeating: "7", count: 60))
            #expect(isTaken && fields.all.count == 1)
            fields.removeAll()
        }
        var copies: [PackedFields] = []
        for index in 0..<500 {
            copies.append(fields)
            let isTaken = fields.append("x-\(index)", String(repeating: "v", count: index % 50))
            #expect(isTaken)
        }
        #expect(fields.all.map(\.name) == (0..<500).map { "x-\($0)" })
        #expect(fields.all.allSatisfy { $0.value.utf8.count == Int($0.name.dropFirst(2))! % 50 })
        for (index, copy) in copies.enumerated() { #expect(copy.all.count == index) }
        let bytes = unsafe fields.withBytes { unsafe [UInt8]($0) }
        #expect(bytes == fields.bytes)
    }

    @Test func fieldsHaveALimit() {
        var fields = PackedFields()
        let value = String(repeating: "x", count: 60_000)
        let taken = [
            fields.append("a", value), fields.append("b", value), fields.set("b", value), fields.set("a", value),
        ]
        #expect(taken == [true, false, false, true] && fields.all.count == 1)
    }
}
