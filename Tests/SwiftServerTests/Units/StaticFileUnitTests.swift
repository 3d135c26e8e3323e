import Testing

@testable import SwiftServer

@Suite struct ByteRangesTests {
    private func parts(_ field: String, size: UInt64 = 100, limit: Int = 4) -> ByteRanges {
        ByteRanges(field, size: size, limit: limit)
    }

    @Test func single() {
        #expect(parts("bytes=0-0") == .parts([0..<1]))
        #expect(parts("bytes=0-99") == .parts([0..<100]))
        #expect(parts("bytes=0-100") == .parts([0..<100]))
        #expect(parts("bytes=99-") == .parts([99..<100]))
        #expect(parts("bytes=-1") == .parts([99..<100]))
        #expect(parts("bytes=-101") == .parts([0..<100]))
        #expect(parts("bytes=5-18446744073709551615") == .parts([5..<100]))
        #expect(parts("bytes=5-99999999999999999999999") == .parts([5..<100]))
        #expect(parts("Bytes=\t1-2 ,, ") == .parts([1..<3]))
        #expect(parts("bytes=0-", size: .max) == .parts([0..<UInt64.max]))
    }

    @Test func unsatisfiable() {
        for field in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            #expect(parts(field) == ByteRanges.none, "\(field)")
        }
        for field in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            #expect(parts(field, size: 0) == ByteRanges.none, "\(field)")
        }
    }

    @Test func malformed() {
        for field in [
            "", "bytes", "bytes=", "bytes=,", "byte=0-1", "bytes 0-1", "bytes=1-0", "bytes=-", "bytes=--1",
            "bytes=0-1-2",
            "bytes=+1-2", "bytes=0-1;", "bytes=1 - 2", "bytes=0-1, x", "bytes=0x1-2", "items=0-1",
        ] { #expect(parts(field) == .all, "\(field)") }
    }

    @Test func several() {
        #expect(parts("bytes=50-59,0-9") == .parts([50..<60, 0..<10]))
        #expect(parts("bytes=0-9,10-19") == .parts([0..<10, 10..<20]))
        #expect(parts("bytes=0-9,5-14,50-") == .parts([0..<15, 50..<100]))
        #expect(parts("bytes=50-,0-9,5-14") == .parts([0..<15, 50..<100]))
        #expect(parts("bytes=0-,0-,0-,0-") == .parts([0..<100]))
        #expect(parts("bytes=0-0,500-,1-1") == .parts([0..<1, 1..<2]))
        #expect(parts("bytes=0-0,2-2,4-4,6-6,8-8") == .all)
        #expect(parts("bytes=0-0", limit: 0) == .all)
    }
}

@Suite struct AcceptedCodingsTests {
    private func best(_ value: String?, of codings: [ContentCoding] = [.brotli, .zstandard, .gzip]) -> ContentCoding? {
        AcceptedCodings(value.map { [$0] } ?? []).best(of: codings)
    }

    @Test func preferences() {
        #expect(best("gzip, deflate, br, zstd") == .brotli)
        #expect(best("gzip, deflate, br, zstd", of: [.gzip, .brotli]) == .gzip)
        #expect(best("gzip;q=1.0, br;q=0.9") == .gzip)
        #expect(best("gzip;q=0.001") == .gzip)
        #expect(best("*;q=0.1") == .brotli)
        #expect(best("br;q=0, *;q=0.1") == .zstandard)
        #expect(best("X-GZIP") == .gzip)
        #expect(best(" zstd ; q=0.5 ;x=1") == .zstandard)
        #expect(AcceptedCodings(["gzip;q=0.1", "br"]).best(of: [.gzip, .brotli]) == .brotli)
        #expect(best("identity;q=0, gzip;q=0.1") == .gzip)
        #expect(best("identity;q=0.5, gzip;q=0.5") == .gzip)
    }

    @Test func none() {
        for value in [
            nil, "", "identity", "deflate", "gzip;q=0", "gzip;q=0.000", "gzip;q=0.5, identity", "*;q=0", "gzip;q=1.1",
            "gzip;q=-1", "gzip;q=", "gzip;q=0.1234", "gzip;q=1.001", "gzip;q=a", "gzipp", ",;", "*;q=1, gzip;q=0.5",
        ] {
            let codings: [ContentCoding] = [.gzip]
            #expect(best(value, of: codings) == nil, "\(value ?? "no field")")
        }
        #expect(best("gzip", of: []) == nil)
    }

    @Test func identity() {
        #expect(AcceptedCodings([]).weightOfIdentity > 0)
        #expect(AcceptedCodings(["*;q=0"]).weightOfIdentity == 0)
        #expect(AcceptedCodings(["identity;q=0"]).weightOfIdentity == 0)
        #expect(AcceptedCodings(["identity;q=0.3, *;q=0"]).weightOfIdentity == 300)
    }
}

@Suite struct FolderPathTests {
    private func path(_ decoded: String, dotFiles: Bool = false) -> String? {
        FolderPath(decoded, dotFiles: dotFiles)?.text
    }

    @Test func safePaths() {
        #expect(path("") == "" && path("/") == "" && path("///") == "")
        #expect(path("/a/b.txt") == "a/b.txt" && path("a//b/") == "a/b")
        #expect(path("..a/b..") == nil && path("..a/b..", dotFiles: true) == "..a/b..")
        #expect(path("/.well-known/x") == ".well-known/x")
        #expect(FolderPath("a/", dotFiles: false)?.hasSlash == true)
        #expect(
            FolderPath("a", dotFiles: false)?.hasSlash == false && FolderPath("", dotFiles: false)?.hasSlash == false)
    }

    @Test func refusedPaths() {
        for decoded in [
            "..", "../a", "a/..", "a/../b", "/../", ".", "a/./b", "a\0b", "\0", String(repeating: "x", count: 4095),
        ] {
            #expect(path(decoded) == nil && path(decoded, dotFiles: true) == nil, "\(decoded)")
        }
        for decoded in [".git", "a/.git/b", "/.htaccess", "a/.well-known/x"] {
            #expect(path(decoded) == nil && path(decoded, dotFiles: true) != nil, "\(decoded)")
        }
    }

    @Test func suffixes() {
        #expect(FolderPath.suffix(of: "a/b.TXT") == "txt" && FolderPath.suffix(of: "b.tar.gz") == "gz")
        for name in ["a", "a.b/c", ".profile", "a/.profile", ""] {
            #expect(FolderPath.suffix(of: name) == nil, "\(name)")
        }
        #expect(FolderPath.suffix(of: "a.") == "")
    }

    @Test func escapes() {
        #expect(Escaped.path("a b/ü?#%\\".utf8) == "a%20b/%C3%BC%3F%23%25%5C")
        #expect(Escaped.html("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;")
    }
}

@Suite struct StaticFilesTests {
    @Test func typesAndRules() {
        var files = StaticFiles("/srv/")
        #expect(files.folder == "/srv" && StaticFiles("/").folder == "/")
        #expect(StaticFiles("public").folder.hasPrefix("/"))
        files.types["html"] = "text/x-html"
        files.defaultType = "x/y"
        #expect(files.type(of: "a.html") == "text/x-html" && files.type(of: "a.svg") == "image/svg+xml")
        #expect(files.type(of: "a") == "x/y" && files.type(of: "a.nothing") == "x/y")
        #expect(files.cacheControl("a.js") == nil)
        files.cache("*.js", .immutable)
        files.cache { $0 == "b.css" ? .noStore : nil }
        files.cache("?.css", .revalidate)
        #expect(files.cacheControl("x/y/a.js") == .immutable && files.cacheControl("b.css") == .noStore)
        #expect(files.cacheControl("c.css")?.value == "no-cache" && files.cacheControl("cc.css") == nil)
        #expect(CacheControl.maxAge(.seconds(90)).value == "public, max-age=90")
    }

    @Test func mistakes() {
        var mounts = StaticFileMounts()
        mounts.add("/a", StaticFiles("/srv"))
        #expect(mounts.problem == nil && !mounts.isEmpty)
        var files = StaticFiles("/srv")
        files.index = "a/b"
        mounts.add("/b", files)
        #expect(mounts.problem == "cannot serve files at /b: index must be the name of a file, got \"a/b\"")
        for path in ["", "a", "/a?b", "//a"] {
            var mounts = StaticFileMounts()
            mounts.add(path, StaticFiles("/srv"))
            #expect(mounts.problem?.hasSuffix("it needs a path like /static") == true, "\(path)")
        }
    }
}
