import Foundation
import Testing

@testable import SwiftServer

@Suite struct MultipartTests {
    private static let type = "multipart/form-data; boundary=X"
    private static let example = """
        --X\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n\
        --X\r\nContent-Disposition: form-data; name="file"; filename="../b.txt"\r\nContent-Type: text/plain\r\n\r\n\
        two\r\nlines\r\n--X--\r\n
        """

    /// The events of a body in pieces of `size` bytes; neighbouring data is joined.
    private static func events(
        _ body: String = example, size: Int = .max, limits: MultipartLimits = MultipartLimits()
    ) throws -> [MultipartParser.Event] {
        let parser = try MultipartParser(contentType: type, limits: limits)
        var rest = [UInt8](body.utf8)[...]
        var events: [MultipartParser.Event] = []
        while true {
            switch try parser.next() {
            case .needsMore:
                if rest.isEmpty { return events }
                parser.add([UInt8](rest.prefix(size)))
                rest = rest.dropFirst(size)
            case .data(let bytes):
                if case .data(let before) = events.last {
                    events[events.count - 1] = .data(before + bytes)
                } else {
                    events.append(.data(bytes))
                }
            case .end: return events + [.end]
            case let event: events.append(event)
            }
        }
    }

    private static let expected: [MultipartParser.Event] = [
        .part(name: "a", fileName: nil, contentType: nil), .data([UInt8]("one".utf8)), .partEnd,
        .part(name: "file", fileName: "../b.txt", contentType: "text/plain"), .data([UInt8]("two\r\nlines".utf8)),
        .partEnd, .end,
    ]

    @Test func howTheBodyIsCutDoesNotMatter() throws {
        for size in 1...MultipartTests.example.utf8.count {
            #expect(try MultipartTests.events(size: size) == MultipartTests.expected, "\(size)")
        }
    }

    @Test func limits() throws {
        #expect(try MultipartTests.events(limits: .init(parts: 2, partSize: 10, totalSize: 13)).last == .end)
        #expect(throws: MultipartError.tooManyParts) { try MultipartTests.events(limits: .init(parts: 1)) }
        #expect(throws: MultipartError.partTooLarge("file")) { try MultipartTests.events(limits: .init(partSize: 9)) }
        #expect(throws: MultipartError.bodyTooLarge) { try MultipartTests.events(limits: .init(totalSize: 12)) }
        let head = "--X\r\nContent-Disposition: form-data; name=\"\(String(repeating: "n", count: 3000))\"\r\n\r\n"
        #expect(throws: MultipartError.tooManyParts) { try MultipartTests.events(head) }
    }

    @Test func errorsHaveAStatus() {
        #expect(throws: MultipartError.notMultipart) { try MultipartParser(contentType: nil, limits: .init()) }
        #expect(throws: MultipartError.notMultipart) { try MultipartParser(contentType: "text/plain", limits: .init()) }
        #expect(throws: MultipartError.malformed) {
            try MultipartParser(contentType: "multipart/form-data", limits: .init())
        }
        #expect(throws: MultipartError.malformed) { try MultipartTests.events("--X\r\nbad\r\n\r\n") }
        #expect(MultipartError.notMultipart.status == 415)
        #expect(MultipartError.malformed.status == 400 && MultipartError.incomplete.status == 400)
        #expect(MultipartError.tooManyParts.status == 413 && MultipartError.partTooLarge("a").status == 413)
        #expect(MultipartError.bodyTooLarge.status == 413)
    }

    @Test func afterAnErrorNothingIsParsed() throws {
        let parser = try MultipartParser(contentType: MultipartTests.type, limits: .init(parts: 1))
        parser.add([UInt8](MultipartTests.example.utf8))
        var events = 0
        #expect(throws: MultipartError.tooManyParts) { while try parser.next() != .end { events += 1 } }
        #expect(events == 3)
        parser.add([UInt8](MultipartTests.example.utf8))
        #expect(throws: MultipartError.tooManyParts) { try parser.next() }
    }

    private static func request(_ body: String = example, type: String = type) throws -> Request {
        try RequestTests.request(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    @Test @MainActor func partsOfARequest() async throws {
        var found: [String] = []
        for try await part in try MultipartTests.request().parts() {
            found.append("\(part.name) \(part.fileName ?? "-") \(try await part.text())")
        }
        #expect(found == ["a - one", "file ../b.txt two\r\nlines"])
    }

    @Test @MainActor func partsThatAreNotReadAreSkipped() async throws {
        var parts = try MultipartTests.request().parts().makeAsyncIterator()
        let first = try #require(await parts.next())
        let second = try #require(await parts.next())
        await #expect(throws: MultipartError.partIsGone("a")) { try await first.collect() }
        await #expect(throws: MultipartError.partTooLarge("file")) { try await second.collect(upTo: 9) }
        #expect(try await parts.next() == nil)
        #expect(try await parts.next() == nil)
    }

    @Test @MainActor func bodiesThatEndEarly() async throws {
        let body = String(MultipartTests.example.dropLast(8))
        var parts = try MultipartTests.request(body).parts().makeAsyncIterator()
        _ = try await parts.next()
        let second = try #require(await parts.next())
        await #expect(throws: MultipartError.incomplete) { try await second.collect() }
        var none = try MultipartTests.request(type: "text/plain").parts().makeAsyncIterator()
        await #expect(throws: MultipartError.notMultipart) { try await none.next() }
    }

    @Test @MainActor func filesAreRemovedUnlessTheyAreKept() async throws {
        let folder = try Folder()
        do {
            var paths: [String] = []
            for (index, keeps) in [false, true].enumerated() {
                for try await part in try MultipartTests.request().parts() where part.fileName != nil {
                    let file = try await part.store(in: folder.path)
                    #expect(file.size == 10 && file.fileName == "../b.txt" && file.name == "file")
                    #expect(file.path.hasPrefix("\(folder.path)/upload-") && !file.path.contains("b.txt"))
                    #expect(try String(contentsOfFile: file.path, encoding: .utf8) == "two\r\nlines")
                    if keeps { try file.move(to: "\(folder.path)/kept") }
                    paths.append(file.path)
                    #expect(folder.names.count == 1, "\(index)")
                }
            }
            #expect(folder.names == ["kept"] && paths.last == "\(folder.path)/kept")
            var parts = try MultipartTests.request().parts(limits: .init(partSize: 9)).makeAsyncIterator()
            _ = try await parts.next()
            let part = try #require(await parts.next())
            await #expect(throws: MultipartError.partTooLarge("file")) {
                try await part.save(to: "\(folder.path)/large")
            }
            #expect(folder.names == ["kept"])
        }
    }

    @Test @MainActor func filesThatCannotBeWritten() async throws {
        for path in ["/nowhere/file", "/", "/tmp/a\0b", "/dev/null"] {
            var parts = try MultipartTests.request().parts().makeAsyncIterator()
            let part = try #require(await parts.next())
            let error = await #expect(throws: FileError.self) { try await part.save(to: path) }
            #expect(error?.description.hasPrefix("cannot create ") == true)
        }
    }

    @Test @MainActor func formsOfARequest() async throws {
        let type = "application/x-www-form-urlencoded; charset=utf-8"
        let request = try MultipartTests.request("a=1&b=%C3%A4+x&a=2", type: type)
        #expect(request.form["a"] == "1" && request.form["b"] == "ä x" && request.form["c"] == nil)
        #expect(request.form.all("a") == ["1", "2"])
        #expect(try await request.form(upTo: 100)["b"] == "ä x")
        await #expect(throws: BodyTooLarge(limit: 5)) { try await request.form(upTo: 5) }
        let other = try MultipartTests.request("a=1", type: "text/plain")
        #expect(other.form["a"] == nil)
        await #expect(throws: UnsupportedBody.self) { try await other.form(upTo: 100) }
    }
}

extension Folder {
    /// The names of all files in it.
    fileprivate var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
}
