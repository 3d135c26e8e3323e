import Testing

@testable import SwiftServer

@Suite struct PreconditionsTests {
    private typealias Representation = Preconditions.Representation

    /// "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let time: Int64 = 784_111_777
    private static let before = "Sun, 06 Nov 1994 08:49:36 GMT"
    private static let same = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let after = "Sun, 06 Nov 1994 08:49:38 GMT"
    private static let current = Representation(entityTag: "\"a\"", lastModified: time)

    private func decide(
        _ method: String = "GET", _ conditions: Preconditions, _ representation: Representation = current
    ) -> Preconditions.Decision {
        conditions.decide(method: method, representation)
    }

    @Test func withoutConditionsARequestProceeds() {
        #expect(Preconditions().isEmpty)
        #expect(decide("GET", Preconditions()) == .proceed)
        #expect(decide("PUT", Preconditions()) == .proceed)
    }

    @Test(arguments: [
        (["\"a\""], Preconditions.Decision.proceed), (["\"b\", \"a\""], .proceed), (["\"b\"", "\"a\""], .proceed),
        (["*"], .proceed), (["\"b\""], .failed), (["W/\"a\""], .failed), (["a"], .failed), ([""], .failed),
    ])
    func ifMatchComparesStrongly(_ values: [String], _ expected: Preconditions.Decision) {
        for method in ["GET", "PUT", "DELETE"] {
            #expect(decide(method, Preconditions(ifMatch: values)) == expected, "\(method)")
        }
        let weak = Representation(entityTag: "W/\"a\"")
        #expect(decide("PUT", Preconditions(ifMatch: ["W/\"a\""]), weak) == .failed)
    }

    @Test(arguments: [
        (["\"a\""], true), (["W/\"a\""], true), (["\"b\",,  W/\"a\" "], true), (["*"], true), (["\"b\""], false),
        (["\"a"], false), (["x, \"a\""], false), (["\"A\""], false),
    ])
    func ifNoneMatchComparesWeakly(_ values: [String], _ isSame: Bool) {
        let conditions = Preconditions(ifNoneMatch: values)
        #expect(decide("GET", conditions) == (isSame ? .notModified : .proceed))
        #expect(decide("HEAD", conditions) == (isSame ? .notModified : .proceed))
        #expect(decide("PUT", conditions) == (isSame ? .failed : .proceed))
        let weak = Representation(entityTag: "W/\"a\"")
        #expect(decide("GET", conditions, weak) == (isSame ? .notModified : .proceed))
    }

    @Test func resourcesThatDoNotExist() {
        let missing = Representation(exists: false)
        #expect(decide("PUT", Preconditions(ifMatch: ["*"]), missing) == .failed)
        #expect(decide("PUT", Preconditions(ifMatch: ["\"a\""]), missing) == .failed)
        #expect(decide("PUT", Preconditions(ifNoneMatch: ["*"]), missing) == .proceed)
        let untagged = Representation()
        #expect(decide("PUT", Preconditions(ifNoneMatch: ["*"]), untagged) == .failed)
        #expect(decide("PUT", Preconditions(ifMatch: ["*"]), untagged) == .proceed)
        #expect(decide("GET", Preconditions(ifNoneMatch: ["\"a\""]), untagged) == .proceed)
    }

    @Test func datesOfReads() {
        #expect(decide("GET", Preconditions(ifModifiedSince: PreconditionsTests.before)) == .proceed)
        #expect(decide("GET", Preconditions(ifModifiedSince: PreconditionsTests.same)) == .notModified)
        #expect(decide("HEAD", Preconditions(ifModifiedSince: PreconditionsTests.after)) == .notModified)
        #expect(decide("POST", Preconditions(ifModifiedSince: PreconditionsTests.after)) == .proceed)
        #expect(decide("GET", Preconditions(ifModifiedSince: "yesterday")) == .proceed)
        let undated = Representation(entityTag: "\"a\"")
        #expect(decide("GET", Preconditions(ifModifiedSince: PreconditionsTests.same), undated) == .proceed)
    }

    @Test func datesOfChanges() {
        #expect(decide("PUT", Preconditions(ifUnmodifiedSince: PreconditionsTests.before)) == .failed)
        #expect(decide("PUT", Preconditions(ifUnmodifiedSince: PreconditionsTests.same)) == .proceed)
        #expect(decide("PUT", Preconditions(ifUnmodifiedSince: "")) == .proceed)
        let undated = Representation()
        #expect(decide("PUT", Preconditions(ifUnmodifiedSince: PreconditionsTests.before), undated) == .proceed)
    }

    @Test func tagsTakePrecedenceOverDates() {
        var conditions = Preconditions(ifMatch: ["\"a\""], ifUnmodifiedSince: PreconditionsTests.before)
        #expect(decide("PUT", conditions) == .proceed)
        conditions = Preconditions(ifNoneMatch: ["\"b\""], ifModifiedSince: PreconditionsTests.after)
        #expect(decide("GET", conditions) == .proceed)
        conditions = Preconditions(ifMatch: ["\"a\""], ifNoneMatch: ["\"a\""])
        #expect(decide("GET", conditions) == .notModified)
        conditions = Preconditions(ifMatch: ["\"b\""], ifNoneMatch: ["\"a\""])
        #expect(decide("GET", conditions) == .failed)
    }

    @Test func rangesOfTheCurrentVersion() {
        let current = PreconditionsTests.current
        #expect(Preconditions().allowsRange(current))
        #expect(Preconditions(ifRange: "\"a\"").allowsRange(current))
        #expect(!Preconditions(ifRange: "\"b\"").allowsRange(current))
        #expect(!Preconditions(ifRange: "W/\"a\"").allowsRange(current))
        #expect(!Preconditions(ifRange: "W/\"a\"").allowsRange(Representation(entityTag: "W/\"a\"")))
        #expect(Preconditions(ifRange: PreconditionsTests.same).allowsRange(current))
        #expect(!Preconditions(ifRange: PreconditionsTests.after).allowsRange(current))
        #expect(!Preconditions(ifRange: "soon").allowsRange(current))
        #expect(!Preconditions(ifRange: PreconditionsTests.same).allowsRange(Representation(entityTag: "\"a\"")))
    }

    @Test func entityTags() {
        for tag in ["\"\"", "\"a\"", "W/\"a\"", "\"a\\\"", "\"a,b\"", "\"\u{E4}\""] {
            #expect(EntityTag.isValid(tag), "\(tag)")
        }
        for tag in ["", "a", "\"", "\"a", "w/\"a\"", "W\"a\"", "W/a", "\"a\"b", "\"a b\"", "\"a\"\"", "*"] {
            #expect(!EntityTag.isValid(tag), "\(tag)")
        }
        // A backslash is no escape, and a comma in a tag separates nothing.
        #expect(EntityTag.list("\"x\\\", \"a\"", contains: "\"a\"", weak: false))
        #expect(EntityTag.list("\"x,y\", \"a\"", contains: "\"a\"", weak: false))
        #expect(!EntityTag.list("\"x,\"a\"\"", contains: "\"a\"", weak: true))
    }

    @Test func conditionsOfARequest() throws {
        let request = try RequestTests.request(
            """
            GET / HTTP/1.1\r\nHost: a\r\nIf-Match: "a"\r\nIF-MATCH: "b"\r\nIf-None-Match: *\r\nIf-Range: "c"\r\n\
            If-Modified-Since: d\r\nIf-Unmodified-Since: e\r\n\r\n
            """)
        let expected = Preconditions(
            ifMatch: ["\"a\"", "\"b\""], ifNoneMatch: ["*"], ifModifiedSince: "d", ifUnmodifiedSince: "e",
            ifRange: "\"c\"")
        #expect(Preconditions(request) == expected)
    }

    /// Two fields are a list, which is no date; and none of several tags can be that of a part.
    @Test func severalDatesAreIgnored() throws {
        let (date, tag) = (PreconditionsTests.same, "\"a\"")
        let request = try RequestTests.request(
            """
            GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: \(date)\r\nIf-Modified-Since: \(date)\r\n\
            If-Unmodified-Since: \(PreconditionsTests.before)\r\nIf-Unmodified-Since: \(date)\r\n\
            If-Range: \(tag)\r\nIf-Range: \(tag)\r\n\r\n
            """)
        let conditions = Preconditions(request)
        #expect(decide("GET", conditions) == .proceed)
        #expect(decide("PUT", conditions) == .proceed)
        #expect(!conditions.allowsRange(PreconditionsTests.current))
    }

    @Test func methodsWithoutARepresentation() {
        let conditions = Preconditions(ifMatch: ["\"b\""], ifNoneMatch: ["*"])
        for method in ["OPTIONS", "TRACE", "CONNECT"] { #expect(decide(method, conditions) == .proceed) }
        #expect(decide("DELETE", conditions) == .failed)
    }
}
