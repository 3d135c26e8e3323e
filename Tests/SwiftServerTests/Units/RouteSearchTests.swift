import Testing

@testable import SwiftServer

/// The tree of routes beside a plain search through all patterns, which decides by the rules of the documentation.
@Suite struct RouteSearchTests {
    /// Chooses the same numbers in each run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 32 | state << 32
        }
    }

    private struct Pattern: Hashable {
        let method: String
        let segments: [String]

        /// Smaller values are more specific: literal, parameter, wildcard, from the left.
        var rank: [Int] { segments.map { $0 == "*" ? 2 : $0 == ":p" ? 1 : 0 } }

        func matches(_ path: [String]) -> Bool {
            let isOpen = segments.last == "*"
            let fixed = isOpen ? segments.dropLast() : segments[...]
            guard isOpen ? path.count >= fixed.count : path.count == fixed.count else { return false }
            return zip(fixed, path).allSatisfy { $0 == ":p" || $0 == $1 }
        }
    }

    private static func random(_ generator: inout Generator) -> Pattern {
        var segments = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
            ["a", "b", "a", "b", "c", ":p", ":p"].randomElement(using: &generator)!
        }
        if Int.random(in: 0..<4, using: &generator) == 0 { segments.append("*") }
        return Pattern(method: ["GET", "POST", "any"].randomElement(using: &generator)!, segments: segments)
    }

    private static func expected(_ patterns: [Pattern], _ method: String, _ path: [String]) -> Int? {
        let found = patterns.indices.filter {
            patterns[$0].matches(path) && ["any", method].contains(patterns[$0].method)
        }
        return found.min { a, b in
            let (left, right) = (patterns[a], patterns[b])
            if left.rank != right.rank { return left.rank.lexicographicallyPrecedes(right.rank) }
            return left.method != "any"
        }
    }

    @Test(arguments: 1...20) func theTreeFindsTheMostSpecificRoute(_ seed: UInt64) throws {
        var generator = Generator(state: seed)
        let count = Int.random(in: 1...40, using: &generator)
        let patterns = Array(Set((0..<count).map { _ in RouteSearchTests.random(&generator) }))
        let router = Router()
        for pattern in patterns {
            var index = 0
            let named = pattern.segments.map { segment -> String in
                index += 1
                return segment == ":p" ? ":p\(index)" : segment
            }
            let method = pattern.method == "any" ? nil : HTTPMethod(rawValue: pattern.method)
            router.route(method, "/" + named.joined(separator: "/")) { _, _ in }
        }
        let table = try RouteTable(router)
        for _ in 0..<300 {
            let path = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
                ["a", "b", "c", "d"].randomElement(using: &generator)!
            }
            for method in ["GET", "POST"] {
                let request = try RequestTests.request(
                    "\(method) /\(path.joined(separator: "/")) HTTP/1.1\r\nHost: a\r\n\r\n")
                let match = table.match(request, upgrades: false)
                let route = RouteSearchTests.expected(patterns, method, path)
                #expect(match.route == route ?? -1, "\(method) \(path) in \(patterns)")
                guard route == nil else { continue }
                // The methods that the path has otherwise.
                let others = Set(patterns.filter { $0.matches(path) }.map(\.method))
                #expect((match.missed >= 0) == !others.isEmpty)
                #expect((match.allowed & RouteMethods.get != 0) == others.contains("GET"))
            }
        }
    }
}
