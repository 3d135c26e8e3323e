import Testing

@testable import SwiftServer

@Suite struct RoutePatternTests {
    private func segments(_ text: String) throws -> [RoutePattern.Segment] { try RoutePattern(text).segments }

    @Test func segmentsOfPatterns() throws {
        #expect(try segments("/") == [])
        #expect(try segments("/users/:id/") == [.literal([UInt8]("users".utf8)), .parameter("id")])
        #expect(try segments("/a%20b/*") == [.literal([UInt8]("a b".utf8)), .rest(nil)])
        #expect(try segments("/ü/*rest-of_it2") == [.literal([UInt8]("ü".utf8)), .rest("rest-of_it2")])
        #expect(try segments("/%3Aid/%2A") == [.literal([UInt8](":id".utf8)), .literal([UInt8]("*".utf8))])
        let parameters = try RoutePattern("/a/:b/c/:d/*e").parameters
        #expect(parameters.map(\.name) == ["b", "d", "e"] && parameters.map(\.segment) == [1, 3, 4])
        #expect(parameters.map(\.isRest) == [false, false, true])
    }

    @Test(arguments: [
        ("users", "begins with a slash"), ("", "begins with a slash"), ("/a?b=1", "neither a query nor a fragment"),
        ("/a#b", "neither a query nor a fragment"), ("/a//b", "an empty segment"), ("//", "an empty segment"),
        ("/:", "letters, digits"), ("/:a.b", "letters, digits"), ("/**", "letters, digits"),
        ("/*a/b", "must be its last segment"), ("/a*b", "must begin the segment"), ("/{id}", "is written :id"),
        ("/a/../b", "no request has a segment \"..\""), ("/:id/x/:id", "two of its parameters are named id"),
        ("/:id/*id", "two of its parameters are named id"), ("/a%2", "are malformed"), ("/a%00", "are malformed"),
        ("/" + String(repeating: "x", count: 8192), "longer than 8192 bytes"),
        (String(repeating: "/x", count: 256), "more than 255 segments"),
    ])
    func malformedPatterns(_ text: String, _ cause: String) {
        let error = #expect(throws: RouteError.self) { try RoutePattern(text) }
        #expect(error?.message.contains(cause) == true, "\(error?.message ?? "")")
    }

    @Test func patternsOfGroups() throws {
        let joined: [(String, String, String)] = [
            ("", "/a", "/a"), ("", "/", "/"), ("", "", "/"), ("/api", "/users", "/api/users"), ("/api", "/", "/api"),
            ("/api", "", "/api"), ("/api", "/users/", "/api/users"), ("/", "/a", "/a"), ("/", "/", "/"),
        ]
        for (prefix, path, whole) in joined { #expect(try RoutePattern.joined(prefix, path) == whole) }
        #expect(throws: RouteError.self) { try RoutePattern.joined("/api", "users") }
    }
}
