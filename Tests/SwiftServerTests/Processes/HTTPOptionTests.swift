import Foundation
import SwiftServerTesting
import Testing

@testable import SwiftServer

extension ProcessTests {
    /// Options by name for static files, compressed responses and uploads.
    @Suite struct HTTPOptionTests {
        @Test func compressionMerges() throws {
            let server = HTTPServer(port: 0)
            try server.set(["compression_min_length": "2K", "http_compression_level": "9"])
            #expect(server.settings.compressResponses == nil)
            try server.set(["http_compression": true, "http_compression_types": ["text/*"]])
            let compression = try #require(server.settings.compressResponses)
            #expect(compression.threshold == 2048 && compression.types == ["text/*"])
            #expect(compression.gzipLevel == 9 && compression.brotliLevel == 9 && compression.zstandardLevel == 9)
            #expect(server.option("compression_min_length") == 2048 && server.option("compression_level") == 9)
            try server.set(["http_compression": false])
            #expect(server.settings.compressResponses == nil)
            try server.set(["http_compression": 1])
            #expect(server.settings.compressResponses?.threshold == 2048)
            try OptionDraft(server).check()
        }

        /// Reading the level back and setting it again leaves levels that differ as they are.
        @Test func levelsOfOtherCodingsStay() throws {
            let server = HTTPServer(port: 0)
            server.settings.compressResponses = ResponseCompression()
            try server.set(["http_compression_level": 6])
            let compression = try #require(server.settings.compressResponses)
            #expect(compression.gzipLevel == 6 && compression.brotliLevel == 4 && compression.zstandardLevel == 3)
        }

        @Test func limitsOfUploads() throws {
            let server = HTTPServer(port: 0)
            try server.set(["upload_max_filesize": "64M", "upload_tmp_dir": "/var/tmp"])
            #expect(server.settings.streamRequestBodies && server.settings.maxStreamedBody == 64 << 20)
            #expect(server.settings.uploadDirectory == "/var/tmp")
            #expect(server.option("upload_max_filesize") == .integer(64 << 20))
            try server.set(["upload_max_filesize": 0])
            #expect(!server.settings.streamRequestBodies && server.settings.maxStreamedBody == nil)
        }

        @Test func filesNeedHTTP() throws {
            let server = Server(port: 0, mode: .single)
            server.onReceive { _, _, _ in }
            try server.set(["enable_static_handler": true, "document_root": "/tmp"])
            let error = try #require(throws: ServerError.self) { try server.start() }
            #expect(error.message == "enable_static_handler needs a server for HTTP or WebSockets")
        }

        private func makeServer(_ options: [String: OptionValue]) throws -> HTTPServer {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            try server.set(options)
            server.onRequest { request, response in response.end("handler \(request.path)") }
            return server
        }

        /// Files precede `onRequest`, which gets what does not exist.
        @Test @MainActor func filesOfARoot() async throws {
            let folder = try Folder()
            folder.write("start", to: "start.html")
            folder.write("a", to: "a.txt")
            let server = try makeServer([
                "enable_static_handler": true, "document_root": .text(folder.path), "http_index_files": ["start.html"],
            ])
            try await withServer(server, listens: false) { client in
                let file = try await client.get("/a.txt")
                #expect(file.body == "a" && file["content-type"] == "text/plain; charset=utf-8")
                #expect(try await client.get("/").body == "start")
                #expect(try await client.get("/b.txt").body == "handler /b.txt")
            }
        }

        /// Only paths that begin with a location have files, which are in the folder of that name; a list by request.
        @Test @MainActor func filesOfLocations() async throws {
            let folder = try Folder()
            try FileManager.default.createDirectory(atPath: folder.file("img"), withIntermediateDirectories: false)
            folder.write("a", to: "a.txt")
            folder.write("picture", to: "img/b.txt")
            let server = try makeServer([
                "enable_static_handler": true, "document_root": .text(folder.path),
                "static_handler_locations": ["/img"], "http_autoindex": true,
            ])
            server.files(at: "/typed", from: folder.path)
            try await withServer(server, listens: false) { client in
                let file = try await client.get("/img/b.txt")
                #expect(file.body == "picture")
                #expect(try await client.get("/img/").body.contains("b.txt"))
                #expect(try await client.get("/a.txt").body == "handler /a.txt")
                #expect(try await client.get("/img/none").status == 404)
                #expect(try await client.get("/typed/a.txt").body == "a", "folders by name are added to others")
            }
        }

        @Test @MainActor func responsesAndUploads() async throws {
            let folder = try Folder()
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            try server.set([
                "http_compression": true, "compression_min_length": 10, "upload_tmp_dir": .text(folder.path),
                "upload_max_filesize": 2048,
            ])
            server.onRequest { request, response in
                var path = "none"
                for try await part in request.parts() { path = try await part.store().path }
                response.header("Content-Type", "text/plain")
                response.end(path)
            }
            let head = "--X\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n"
            func upload(_ size: Int) -> [UInt8] {
                [UInt8](head.utf8) + [UInt8](repeating: 97, count: size) + [UInt8]("\r\n--X--\r\n".utf8)
            }
            let fields = [(name: "Content-Type", value: "multipart/form-data; boundary=X")]
            try await withServer(server, listens: false) { client in
                let stored = try await client.request("POST", "/", fields: fields, body: upload(1000))
                #expect(stored.body.hasPrefix(folder.path + "/upload-"))
                #expect(try await client.request("POST", "/", fields: fields, body: upload(3000)).status == 413)
                let accepting = fields + [(name: "Accept-Encoding", value: "gzip")]
                let compressed = try await client.request("POST", "/", fields: accepting, body: upload(10))
                #expect(compressed["content-encoding"] == (ContentCoding.gzip.isSupported ? "gzip" : nil))
            }
        }
    }
}
