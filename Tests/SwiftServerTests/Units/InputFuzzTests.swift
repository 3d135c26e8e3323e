import CReactor
import Glibc
import Testing

@testable import SwiftServer

/// Inputs from outside, changed at random, through the Swift API: nothing may trap, limits hold, and the way in which
/// an input was cut has no effect. `FUZZ_ROUNDS` and `FUZZ_SEED` in the environment make more of them, and others. An
/// input that once failed is among the seeds.
@Suite struct InputFuzzTests {
    private static func number(_ name: String, _ standard: Int) -> Int {
        unsafe getenv(name).flatMap { unsafe Int(String(cString: $0)) } ?? standard
    }

    /// Calls `check` with a share of the rounds.
    private static func fuzz(
        _ seeds: [String], words: [String], rounds: Int, _ check: (_ input: [UInt8], inout Mutations) throws -> Void
    ) rethrows {
        var mutations = Mutations(seeds, words: words, seed: UInt64(number("FUZZ_SEED", 1)))
        for seed in seeds { try check([UInt8](seed.utf8), &mutations) }
        for _ in 0..<(rounds * number("FUZZ_ROUNDS", 1)) { try check(mutations.next(), &mutations) }
    }

    // MARK: Uploads

    private static let type = "multipart/form-data; boundary=X"
    private static let limits = MultipartLimits(parts: 3, partSize: 24, totalSize: 40)

    private static let uploads = [
        "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--X\r\nContent-Disposition: form-data; "
            + "name=\"f\"; filename=\"../b\"\r\nContent-Type: text/plain\r\n\r\n\r\n--\r\n-X\r\n\r\n--X--\r\n",
        "preamble\r\n--X \t\r\ncontent-disposition:form-data;name=a\r\n\r\n\r\n--X--epilogue\r\n--X\r\n",
        "--X\r\nContent-Disposition: form-data; filename*=UTF-8''%e2%82%ac; name=\"\\\"\"\r\nX: y\r\n\r\nx\r\n--X--",
    ]
    private static let uploadWords = [
        "--X", "\r\n--X", "--X--", "\r\n", "\r", "\n", "-", "Content-Disposition: form-data; name=\"", "\"", ";",
        "filename=", "\\", "\0", "=", String(repeating: "x", count: 30), "\r\n\r\n",
    ]

    private struct Upload: Equatable {
        /// Everything but data, and whether there was data.
        var events: [MultipartParser.Event] = []
        var failure: MultipartError?
        var isComplete = false
    }

    /// Parses an upload whose pieces have the sizes that `size` returns.
    private static func parse(_ body: [UInt8], _ size: () -> Int) throws(MultipartError) -> Upload {
        let parser = try MultipartParser(contentType: type, limits: limits)
        var upload = Upload()
        var rest = body[...]
        var (parts, inPart, total) = (0, 0, 0)
        do {
            while true {
                switch try parser.next() {
                case .needsMore:
                    if rest.isEmpty { return upload }
                    let count = max(1, size())
                    parser.add([UInt8](rest.prefix(count)))
                    rest = rest.dropFirst(count)
                case .data(let bytes):
                    inPart += bytes.count
                    total += bytes.count
                    #expect(inPart <= limits.partSize && total <= limits.totalSize && total <= body.count)
                    if case .data(let before) = upload.events.last {
                        upload.events[upload.events.count - 1] = .data(before + bytes)
                    } else {
                        upload.events.append(.data(bytes))
                    }
                case .end:
                    upload.isComplete = true
                    return upload
                case .part(let name, let fileName, let contentType):
                    parts += 1
                    inPart = 0
                    #expect(parts <= limits.parts)
                    upload.events.append(.part(name: name, fileName: fileName, contentType: contentType))
                case .partEnd: upload.events.append(.partEnd)
                }
            }
        } catch {
            upload.failure = error
            // The parser stops in the piece in which the limit is exceeded, so the last data depends on the pieces.
            if case .data = upload.events.last { upload.events.removeLast() }
            return upload
        }
    }

    @Test func uploads() throws {
        try InputFuzzTests.fuzz(InputFuzzTests.uploads, words: InputFuzzTests.uploadWords, rounds: 3000) {
            body, random in
            let whole = try InputFuzzTests.parse(body) { body.count }
            let bytes = try InputFuzzTests.parse(body) { 1 }
            #expect(bytes == whole, "\(String(decoding: body, as: UTF8.self).debugDescription)")
            let cut = random.random(below: body.count)
            var isFirst = true
            let halves = try InputFuzzTests.parse(body) {
                defer { isFirst = false }
                return isFirst ? cut : body.count
            }
            #expect(halves == whole, "cut at \(cut): \(String(decoding: body, as: UTF8.self).debugDescription)")
        }
    }

    @Test func typesOfUploads() {
        let seeds = [InputFuzzTests.type, "Multipart/Form-Data;charset=\"a;\\\"b\";boundary=\"x y\"", "text/plain"]
        InputFuzzTests.fuzz(seeds, words: ["boundary=", "\"", ";", "=", "\\", "'", "\0", "\u{e4}"], rounds: 3000) {
            input, _ in
            let text = String(decoding: input, as: UTF8.self)
            guard let parser = try? MultipartParser(contentType: text, limits: InputFuzzTests.limits) else { return }
            parser.add([UInt8](InputFuzzTests.uploads[0].utf8))
            while let event = try? parser.next(), event != .needsMore, event != .end {}
        }
    }

    // MARK: Forms, targets and cookies

    /// The request of a head that the parser accepts.
    private static func request(_ text: String) throws -> Request? {
        let bytes = [UInt8](text.utf8)
        var head = cre_http_head()
        var fields = [cre_http_field](repeating: cre_http_field(), count: Int(CRE_HTTP_DEFAULT_FIELDS))
        let length = unsafe cre_http_parse_request(bytes, bytes.count, 0, nil, &head, &fields)
        return length > 0 ? try RequestTests.request(text) : nil
    }

    private static let escapes = [
        "%", "%2", "%2e", "%2F", "%00", "%c3", "%ff", "+", "&", "=", ";", "/", "..", ".", "\\",
    ]

    @Test func forms() {
        let seeds = ["a=1&b=%C3%A4+c&a=2&&=&d", "room=%2F..%2f&x=%00"]
        InputFuzzTests.fuzz(seeds, words: InputFuzzTests.escapes, rounds: 2000) { input, _ in
            let text = String(decoding: input, as: UTF8.self)
            let query = Request.Query(text: text)
            let pairs = Array(query)
            #expect(pairs.count <= text.utf8.split(separator: UInt8(ascii: "&")).count)
            for (name, value) in pairs {
                #expect(query[name] == query.all(name).first)
                #expect(query.all(name).contains(value))
            }
        }
    }

    @Test func targets() throws {
        let seeds = ["/a%20b/../c/./d?x=1", "/%2e%2e/%2fetc/passwd", "http://h/a//b/", "/.well-known/x"]
        try InputFuzzTests.fuzz(seeds, words: InputFuzzTests.escapes + ["?", "//", "/../"], rounds: 2000) { input, _ in
            let text = String(decoding: input, as: UTF8.self)
            guard let request = try InputFuzzTests.request("GET \(text) HTTP/1.1\r\nHost: a\r\n\r\n") else { return }
            _ = (request.decodedPath, request.query["x"], request.target)
            guard let resolved = request.resolvedPath else { return }
            #expect(resolved.utf8.first == UInt8(ascii: "/"), "\(text)")
            let names = resolved.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
            #expect(!names.contains("..") && !names.contains("."), "\(text)")
            guard let path = FolderPath(resolved, dotFiles: false) else { return }
            #expect(!path.text.utf8.contains(0) && path.text.utf8.first != UInt8(ascii: "/"), "\(text)")
            #expect(path.text == ".well-known" || path.text.hasPrefix(".well-known/") || !path.text.hasPrefix("."))
        }
    }

    @Test func cookies() throws {
        let seeds = ["a=1; b=\"2\"; a=3", " ;=;a;b==;c=\"", "session=%20; x=\u{e4}"]
        try InputFuzzTests.fuzz(seeds, words: [";", "=", "\"", " ", "\t", ",", "a=", "; "], rounds: 2000) {
            input, random in
            let text = String(decoding: input, as: UTF8.self)
            let head = "GET / HTTP/1.1\r\nHost: a\r\nCookie: \(text)\r\n"
            guard let request = try InputFuzzTests.request("\(head)\r\n") else { return }
            let cookies = Array(request.cookies)
            #expect(Set(cookies.map(\.key)).count == cookies.count)
            for (name, value) in cookies {
                #expect(request.cookies[name] == value)
                #expect(text.utf8.count >= name.utf8.count + value.utf8.count)
            }
            // A Set-Cookie of any name and value is refused, or has no more attributes than it should.
            let cut = text.index(text.startIndex, offsetBy: random.random(below: text.count))
            for cookie in [
                Cookie(String(text[..<cut]), String(text[cut...])), Cookie("a", "1", path: text, domain: text),
            ] {
                guard let field = try? cookie.field() else { continue }
                #expect(field.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "\(field)")
                let parts = field.split(separator: ";", omittingEmptySubsequences: false).count
                #expect(parts == 4 + (cookie.domain == nil ? 0 : 1), "\(field)")
            }
        }
    }

    // MARK: Fields that are negotiated

    @Test func ranges() {
        let seeds = ["bytes=0-1,3-5,-2", "bytes=0-", "Bytes= 1-2 , ,5-9", "bytes=18446744073709551615-"]
        let words = ["-", ",", "bytes=", " ", "99999999999999999999", "0", "=", "--"]
        InputFuzzTests.fuzz(seeds, words: words, rounds: 4000) { input, random in
            let size = UInt64(random.random(below: 12))
            let text = String(decoding: input, as: UTF8.self)
            guard case .parts(let parts) = ByteRanges(text, size: size, limit: 3) else { return }
            #expect((1...3).contains(parts.count), "\(text)")
            #expect(parts.allSatisfy { !$0.isEmpty && $0.upperBound <= size }, "\(text)")
            #expect(parts.reduce(0) { $0 + UInt64($1.count) } <= size, "\(text)")
        }
    }

    @Test func codings() {
        let seeds = ["gzip, br;q=0.5, *;q=0", "identity;q=0.001,zstd;Q=1.000", "gzip;q=;x,;", "x-gzip"]
        let words = [";q=", "q=1.001", ",", ";", "*", "0.", "br", " ", "\t", "=", "identity"]
        InputFuzzTests.fuzz(seeds, words: words, rounds: 2000) { input, _ in
            let text = String(decoding: input, as: UTF8.self)
            let whole = AcceptedCodings([text])
            let fields = text.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
            #expect(AcceptedCodings(fields) == whole, "\(text)")
            for coding in ContentCoding.allCases { #expect(0...1000 ~= whole.weight(of: coding), "\(text)") }
            #expect(0...1000 ~= whole.weightOfIdentity, "\(text)")
            if let best = whole.best(of: ContentCoding.allCases) { #expect(whole.weight(of: best) > 0, "\(text)") }
        }
    }

    @Test func conditions() {
        let seeds = ["\"a\", W/\"b\"", "*", "W/\"\",\"\\\"", "Sun, 06 Nov 1994 08:49:37 GMT"]
        InputFuzzTests.fuzz(seeds, words: ["\"", "W/", ",", "*", "\\", "GMT", "99999"], rounds: 2000) { input, _ in
            let text = String(decoding: input, as: UTF8.self)
            let current = Preconditions.Representation(entityTag: "\"a\"", lastModified: 784_111_777)
            let strong = EntityTag.list(text, contains: "\"a\"", weak: false)
            #expect(!strong || EntityTag.list(text, contains: "\"a\"", weak: true), "\(text)")
            let condition = Preconditions(ifMatch: [text], ifNoneMatch: [text], ifModifiedSince: text, ifRange: text)
            #expect(condition.decide(method: "PUT", current) != .notModified, "\(text)")
            if condition.allowsRange(current) { #expect(text == "\"a\"" || Preconditions.date(text) != nil, "\(text)") }
            #expect(Preconditions.date(text) ?? 0 >= 0)
        }
    }
}
