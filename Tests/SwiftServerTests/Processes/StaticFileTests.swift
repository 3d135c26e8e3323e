import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Folders whose files are served.
    @Suite struct StaticFileTests {
        private func serve(
            _ mode: ServerMode, _ folder: Folder, _ test: (ServerProcess, Connection) throws -> Void
        ) throws {
            try ServerProcess.run(.files, mode, workers: 1) {
                $0.folder = folder.file("public")
            } test: { server in
                try test(server, try Connection(port: server.port))
            }
        }

        @Test(arguments: ServerMode.allCases) func filesWithTheirFields(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            try serve(mode, folder) { server, connection in
                let types = [
                    "a.txt": "text/plain; charset=utf-8", "style.css": "text/css; charset=utf-8",
                    "assets/app.js": "text/javascript; charset=utf-8", "me.card": "text/vcard",
                    "unknown": "application/octet-stream", "index.html": "text/html; charset=utf-8",
                ]
                for (name, type) in types {
                    let response = try connection.get("/static/" + name)
                    #expect(response.status == 200 && response.body == folder.text("public/" + name), "\(name)")
                    #expect(response.all("content-type") == [type], "\(name)")
                    #expect(response.all("accept-ranges") == ["bytes"])
                    #expect(response.all("etag").count == 1 && response["etag"]?.hasPrefix("\"") == true)
                    #expect(response.all("last-modified").count == 1 && response.all("date").count == 1)
                    let head = try connection.get("/static/" + name, method: "HEAD")
                    #expect(head.status == 200 && head.bytes == [])
                    for field in ["content-length", "content-type", "etag", "last-modified", "accept-ranges"] {
                        #expect(head.all(field) == response.all(field), "\(name): \(field)")
                    }
                }
                #expect(try connection.get("/static/empty.txt").body == "")
                #expect(try connection.get("/static/a%20b%3C%26%3E%22%27.txt").body == "odd")
                let open = try connection.get("/open/a.txt")
                #expect(open.body == StaticFolder.text && open["etag"] == nil && open["last-modified"] == nil)
                #expect(try connection.get("/strict/a.txt")["etag"]?.hasPrefix("W/\"") == true)
                #expect(try connection.get("/route/inner")["location"] == "/route/inner/")
                #expect(try connection.get("/fixed/").body == StaticFolder.text)
                let route = try connection.get("/route/inner/")
                #expect(route.body == "inner" && route["x-route"] == "yes")
                #expect(try connection.get("/route/../secret").status == 404)
                #expect(try connection.get("/route/%2e%2e/secret").status == 404)
                #expect(try connection.get("/static/style.css")["cache-control"] == "public, max-age=60")
                let immutable = "public, max-age=31536000, immutable"
                #expect(try connection.get("/static/assets/app.js")["cache-control"] == immutable)
                #expect(try connection.get("/static/assets/none.txt")["cache-control"] == immutable)
                #expect(try connection.get("/static/a.txt")["cache-control"] == nil)
            }
        }

        @Test(arguments: ServerMode.allCases) func conditionalRequests(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            try serve(mode, folder) { server, connection in
                func get(_ fields: String, _ path: String = "/static/style.css", method: String = "GET") throws
                    -> HTTPResponse
                {
                    try connection.get(path, method: method, fields: fields)
                }
                let first = try get("")
                let tag = try #require(first["etag"])
                let date = try #require(first["last-modified"])
                for fields in [
                    "If-None-Match: \(tag)\r\n", "If-None-Match: \"other\", W/\(tag)\r\n", "If-None-Match: *\r\n",
                    "If-Modified-Since: \(date)\r\n",
                    "If-None-Match: \(tag)\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                ] {
                    let response = try get(fields)
                    #expect(response.status == 304 && response.bytes == [], "\(fields)")
                    #expect(response["etag"] == tag && response["last-modified"] == date, "\(fields)")
                    #expect(response["cache-control"] == first["cache-control"], "\(fields)")
                    #expect(response["content-length"] == nil && response["content-type"] == nil, "\(fields)")
                    #expect(try get(fields, method: "HEAD").status == 304, "\(fields)")
                }
                for fields in [
                    "If-None-Match: \"other\"\r\n", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                    "If-None-Match: \"other\"\r\nIf-Modified-Since: \(date)\r\n", "If-Match: \(tag)\r\n",
                    "If-Unmodified-Since: \(date)\r\n", "If-Modified-Since: never\r\n",
                ] {
                    #expect(try get(fields).body == "css", "\(fields)")
                }
                for fields in [
                    "If-Match: \"other\"\r\n", "If-Match: W/\(tag)\r\n",
                    "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                ] {
                    let response = try get(fields)
                    #expect(response.status == 412 && response["etag"] == tag, "\(fields)")
                }
                // A file that changes has another tag.
                folder.write("changed", to: "public/style.css")
                let changed = try get("If-None-Match: \(tag)\r\n")
                #expect(changed.status == 200 && changed.body == "changed" && changed["etag"] != tag)
            }
        }

        @Test(arguments: ServerMode.allCases) func partsOfFiles(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            let text = StaticFolder.text
            let size = text.utf8.count
            func part(_ range: Range<Int>) -> String { String(Array(text)[range]) }
            try serve(mode, folder) { server, connection in
                func get(_ range: String, _ path: String = "/static/a.txt", _ more: String = "") throws -> HTTPResponse
                {
                    try connection.get(path, fields: "Range: \(range)\r\n\(more)")
                }
                for (range, wanted) in [
                    ("bytes=0-0", 0..<1), ("bytes=5-9", 5..<10), ("bytes=10-", 10..<size),
                    ("bytes=-7", size - 7..<size),
                    ("BYTES= , 3-99999", 3..<size), ("bytes=-99999", 0..<size), ("bytes=2-3,3-5,900000-", 2..<6),
                ] {
                    let response = try get(range)
                    #expect(response.status == 206 && response.body == part(wanted), "\(range)")
                    let field = "bytes \(wanted.lowerBound)-\(wanted.upperBound - 1)/\(size)"
                    #expect(response.all("content-range") == [field], "\(range)")
                    #expect(response["content-type"] == "text/plain; charset=utf-8" && response["etag"] != nil)
                }
                for range in ["bytes=9-5", "lines=1-2", "bytes=", "bytes=a-b", "bytes=1", "bytes=0-0x"] {
                    let response = try get(range)
                    #expect(response.status == 200 && response.body == text, "\(range)")
                }
                for range in ["bytes=\(size)-", "bytes=-0", "bytes=99999-99999,5000-"] {
                    let response = try get(range)
                    #expect(response.status == 416 && response["content-range"] == "bytes */\(size)", "\(range)")
                }
                // Several parts, in their order.
                let several = try get("bytes=20-24, 0-3 ,-2")
                let boundary = try #require(several["content-type"]?.split(separator: "=").last)
                #expect(several["content-type"] == "multipart/byteranges; boundary=\(boundary)")
                var wanted = ""
                for range in [20..<25, 0..<4, size - 2..<size] {
                    wanted += "--\(boundary)\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes "
                    wanted += "\(range.lowerBound)-\(range.upperBound - 1)/\(size)\r\n\r\n\(part(range))\r\n"
                }
                #expect(several.status == 206 && several.body == wanted + "--\(boundary)--\r\n")
                #expect(several["content-range"] == nil)
                // Too many are ignored, and so is a range where there are none.
                #expect(try get("bytes=" + (0..<17).map { "\($0 * 2)-\($0 * 2)" }.joined(separator: ",")).status == 200)
                #expect(try get("bytes=0-0,2-2,4-4", "/strict/a.txt").status == 200)
                #expect(try get("bytes=0-0", "/open/a.txt").status == 200)
                #expect(
                    try connection.get("/static/a.txt", method: "HEAD", fields: "Range: bytes=0-0\r\n").status == 200)
                // If-Range
                let tag = try #require(try get("bytes=0-0")["etag"])
                let date = try #require(try get("bytes=0-0")["last-modified"])
                for (condition, status) in [(tag, 206), ("\"other\"", 200), ("W/" + tag, 200), (date, 206), ("x", 200)]
                {
                    let response = try get("bytes=0-0", "/static/a.txt", "If-Range: \(condition)\r\n")
                    #expect(response.status == status, "\(condition)")
                }
                let weak = try #require(try get("bytes=0-0", "/strict/a.txt")["etag"])
                #expect(try get("bytes=0-0", "/strict/a.txt", "If-Range: \(weak)\r\n").status == 200)
            }
        }

        @Test(arguments: ServerMode.allCases) func foldersAndLists(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            try serve(mode, folder) { server, connection in
                for (path, location) in [
                    ("/static", "/static/"), ("/static/inner?a=1&b", "/static/inner/?a=1&b"),
                    ("/static//inner", "/static/inner/"), ("/static/./inner", "/static/inner/"),
                ] {
                    let response = try connection.get(path)
                    #expect(response.status == 301 && response["location"] == location, "\(path)")
                }
                #expect(try connection.get("/static/").body == "<h1>start</h1>")
                #expect(try connection.get("/static/inner/").body == "inner")
                for path in ["/static/empty/", "/static/empty", "/static/a.txt/", "/open/inner/", "/static/inner/x"] {
                    #expect(try connection.get(path).status == 404, "\(path)")
                }
                // The root of another port: nobody is redirected to another host.
                let other = try Connection(port: server.ports[1])
                #expect(try other.get("//inner")["location"] == "/inner/")
                #expect(try other.get("/%5C%5Cinner").status == 404)
                #expect(try other.get("/").body == "<h1>start</h1>")
                #expect(try other.get("/missing").status == 404)
                // Lists
                #expect(try connection.get("/strict/assets")["location"] == "/strict/assets/")
                let list = try connection.get("/strict/assets/")
                #expect(list.status == 200 && list["content-type"] == "text/html; charset=utf-8")
                #expect(list.body.contains("<a href=\"./app.js\">app.js</a><td>2<td>"))
                #expect(list.body.contains("<a href=\"../\">"))
                unsafe unlink(folder.file("public/index.html"))
                let top = try connection.get("/strict/").body
                let odd = "<a href=\"./a%20b%3C%26%3E%22%27.txt\">a b&lt;&amp;&gt;&quot;&#39;.txt</a>"
                #expect(top.contains(odd) && !top.contains("a b<"))
                #expect(top.contains("\"./inner/\"") && top.contains("\"./.git/\"") && !top.contains("../"))
                #expect(!top.contains("outside") && !top.contains("inside"), "links are refused here")
                #expect(try connection.get("/strict/", method: "HEAD").bytes == [])
            }
        }

        @Test(arguments: ServerMode.allCases) func nothingElseIsServed(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            try serve(mode, folder) { server, connection in
                let other = try Connection(port: server.ports[1])
                for path in [
                    "/%2e%2e/secret", "/..%2fsecret", "/inner/%2e%2e/%2e%2e/secret", "/a.txt%00", "/%00",
                    "/.git/config",
                    "/.git/", "/.git", "/%2egit/config", "/inner/.well-known/a", "/outside", "/absolute", "/...",
                    "/..%5csecret", "/%ff", "/%", "/inside/", "/" + String(repeating: "x", count: 5000),
                    "/" + String(repeating: "x/", count: 3000),
                ] {
                    let below = try connection.get("/static" + path)
                    #expect(below.status == 404 || below.body.hasPrefix("GET "), "\(path)")
                    let response = try other.get(path)
                    #expect(response.status == 404 && !response.body.contains("secret"), "\(path)")
                }
                #expect(try other.get("/../secret").status == 404)
                #expect(try connection.get("/static/../secret").body == "GET /static/../secret")
                #expect(try connection.get("/statics/a.txt").body == "GET /statics/a.txt")
                #expect(try connection.get("/static/.well-known/a").body == "known")
                #expect(try connection.get("/static/inside").body == "inner")
                #expect(try connection.get("/strict/inside").status == 404)
                #expect(try connection.get("/strict/.git/config").body == "secret")
                #expect(try connection.get("/open/outside").body == "secret")
                #expect(try connection.get("/open/absolute").body == "secret")
                #expect(try connection.get("/open/../secret").status == 200)
            }
        }

        @Test(arguments: ServerMode.allCases) func methodsAndHandlers(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            try serve(mode, folder) { server, connection in
                for method in ["POST", "PUT", "DELETE", "PATCH", "FANCY"] {
                    let response = try connection.get("/static/a.txt", method: method)
                    #expect(response.status == 405 && response["allow"] == "GET, HEAD, OPTIONS", "\(method)")
                    #expect(try connection.get("/static/missing", method: method).status == 404)
                    #expect(try connection.get("/passing/a.txt", method: method).body == "\(method) /passing/a.txt")
                }
                let options = try connection.get("/static/a.txt", method: "OPTIONS")
                #expect(options.status == 204 && options["allow"] == "GET, HEAD, OPTIONS")
                #expect(try connection.get("/passing/a.txt").body == StaticFolder.text)
                #expect(try connection.get("/passing/missing").body == "GET /passing/missing")
                #expect(try connection.get("/passing/.git/config").body == "GET /passing/.git/config")
                #expect(try connection.get("/elsewhere").body == "GET /elsewhere")
                // A port without folders has those of the server.
                #expect(try Connection(port: server.ports[2]).get("/static/style.css").body == "css")
                // Several requests at once, and an old client.
                let requests = ["/static/a.txt", "/x", "/static/missing", "/static/style.css"].map {
                    "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n"
                }
                try connection.send(requests.joined())
                let bodies = try requests.map { _ in try connection.takeResponse().body }
                #expect(bodies == [StaticFolder.text, "GET /x", "404 Not Found\n", "css"])
                try connection.send("GET /static/style.css HTTP/1.0\r\n\r\n")
                #expect(try connection.takeResponse().body == "css")
                #expect(try connection.take(1) == nil)
            }
        }

        @Test(arguments: ServerMode.allCases) func compressedFiles(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            for suffix in ["br", "zst", "gz"] { folder.write("packed \(suffix)", to: "public/style.css.\(suffix)") }
            folder.write("old", to: "public/a.txt.gz")
            var times = [timespec(tv_sec: 1000, tv_nsec: 0), timespec(tv_sec: 1000, tv_nsec: 0)]
            unsafe utimensat(AT_FDCWD, folder.file("public/a.txt.gz"), &times, 0)
            unsafe symlink("../secret", folder.file("public/unknown.br"))
            try serve(mode, folder) { server, connection in
                var tags: Set<String> = []
                for (accepted, coding) in [
                    ("gzip", "gz"), ("br;q=0.5, gzip", "gz"), ("gzip, br, zstd", "br"), ("zstd, gzip;q=0.9", "zst"),
                    ("*", "br"), ("br;q=0, *", "zst"), ("GZIP ; Q=1", "gz"), ("x-gzip", "gz"),
                ] {
                    let response = try connection.get("/packed/style.css", fields: "Accept-Encoding: \(accepted)\r\n")
                    #expect(response.body == "packed \(coding)", "\(accepted)")
                    let names = ["gz": "gzip", "br": "br", "zst": "zstd"]
                    #expect(response["content-encoding"] == names[coding], "\(accepted)")
                    #expect(
                        response["vary"] == "Accept-Encoding" && response["content-type"]?.hasPrefix("text/css") == true
                    )
                    let tag = try #require(response["etag"])
                    tags.insert(tag)
                    let again = try connection.get(
                        "/packed/style.css", fields: "Accept-Encoding: \(accepted)\r\nIf-None-Match: \(tag)\r\n")
                    #expect(again.status == 304 && again["vary"] == "Accept-Encoding")
                    let part = try connection.get(
                        "/packed/style.css", fields: "Accept-Encoding: \(accepted)\r\nRange: bytes=7-\r\n")
                    #expect(part.status == 206 && part.body == coding)
                }
                for accepted in ["", "identity", "gzip;q=0", "gzip;q=0.4, identity;q=0.5", "deflate", "gzip;q=2"] {
                    let response = try connection.get("/packed/style.css", fields: "Accept-Encoding: \(accepted)\r\n")
                    #expect(response.body == "css" && response["content-encoding"] == nil, "\(accepted)")
                    #expect(response["vary"] == "Accept-Encoding", "\(accepted)")
                    tags.insert(try #require(response["etag"]))
                }
                #expect(tags.count == 4, "each has a tag of its own")
                // One that is older than the original, and one that is a link to elsewhere.
                for path in ["a.txt", "unknown"] {
                    let response = try connection.get("/packed/\(path)", fields: "Accept-Encoding: gzip, br\r\n")
                    #expect(response.body == folder.text("public/" + path) && response["content-encoding"] == nil)
                }
                let plain = try connection.get("/static/style.css", fields: "Accept-Encoding: gzip\r\n")
                #expect(plain.body == "css" && plain["vary"] == nil)
            }
        }

        /// While somebody swaps a file for a link, nothing else than the file is ever sent.
        @Test(arguments: ServerMode.allCases) func linksThatAreSwappedIn(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            folder.write("harmless", to: "public/swapped")
            folder.write("harmless", to: "public/real")
            try serve(mode, folder) { server, connection in
                let isDone = Flag()
                let (real, next) = (folder.file("public/real"), folder.file("public/next"))
                let swapped = folder.file("public/swapped")
                let swapper = Thread {
                    while !isDone.isRaised {
                        unsafe symlink("../secret", next)
                        unsafe rename(next, swapped)
                        unsafe link(real, next)
                        unsafe rename(next, swapped)
                    }
                    isDone.hasEnded()
                }
                swapper.start()
                defer { isDone.finish() }
                for index in 0..<300 {
                    let path = index % 2 == 0 ? "/static/swapped" : "/strict/swapped"
                    let response = try connection.get(path, fields: index % 3 == 0 ? "Range: bytes=0-3\r\n" : "")
                    #expect(["harmless", "harm"].contains(response.body) || [404, 503].contains(response.status))
                    #expect(!response.body.contains("secret"))
                }
            }
        }

        @Test(arguments: ServerMode.allCases) func largeFiles(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            let line = "0123456789abcdef"
            folder.write(String(repeating: line, count: 1 << 20), to: "public/large.bin")
            try serve(mode, folder) { server, connection in
                let whole = try connection.get("/static/large.bin")
                #expect(whole.bytes.count == 16 << 20 && whole.body.hasSuffix(line))
                let parts = try connection.get("/static/large.bin", fields: "Range: bytes=1-9000000,9000002-\r\n")
                #expect(parts.status == 206 && parts.bytes.count > (16 << 20) - 2)
                #expect(try connection.get("/static/style.css").body == "css")
            }
        }

        @Test(arguments: ServerMode.supervised) func mistakesAreErrorsOfTheStart(_ mode: ServerMode) throws {
            let error = try ServerProcess.runFailing(.invalidFiles, mode).onlyError()
            #expect(error.code == .invalidSetting)
            #expect(error.message.hasSuffix("cannot serve files at /static: maxRanges must be 0...64, got 65"))
        }

        #if TLS
        @Test(arguments: ServerMode.supervised) func filesOverTLS(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            let certificates = try TLSFolder("one")
            try ServerProcess.run(.files, mode) {
                $0.folder = folder.file("public")
                $0.certificate = certificates.certificate("one")
            } test: { server in
                let client = try TLSClient(server, certificates)
                _ = try client.ask(.open(name: "one"))
                let text = try client.ask(.get(name: "one", path: "/static/a.txt"))
                #expect(text == ["200", String(StaticFolder.text.dropLast())])
                #expect(try client.ask(.get(name: "one", path: "/static/outside")).first == "404")
                #expect(try client.ask(.get(name: "one", path: "/static/inner/")) == ["200", "inner"])
            }
        }
        #endif

        /// Stops the thread of a test, and waits for its end.
        private final class Flag: @unchecked Sendable {
            private let condition = NSCondition()
            private var raised = false
            private var ended = false

            var isRaised: Bool { condition.withLock { raised } }

            func hasEnded() {
                condition.withLock { ended = true }
                condition.signal()
            }

            func finish() {
                condition.withLock {
                    raised = true
                    while !ended { condition.wait() }
                }
            }
        }
    }
}
