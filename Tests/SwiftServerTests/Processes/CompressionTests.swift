import Foundation
import SwiftServer
import TestProtocol
import Testing

#if Deflate
extension ProcessTests {
    /// Responses that are compressed.
    @Suite struct CompressionTests {
        private static let text = String(repeating: "text ", count: 100)

        private func serve(
            _ mode: ServerMode, folder: String? = nil, _ test: (ServerProcess, Connection) throws -> Void
        ) throws {
            try ServerProcess.run(.compression, mode) {
                $0.folder = folder
            } test: { server in
                try test(server, try Connection(port: server.port))
            }
        }

        /// Decodes as much of a body as there is.
        private func gunzip(_ bytes: [UInt8]) throws -> String {
            let process = Process()
            let (input, output) = (Pipe(), Pipe())
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "python3", "-c",
                "import sys, zlib; sys.stdout.buffer.write(zlib.decompressobj(31).decompress(sys.stdin.buffer.read()))",
            ]
            process.standardInput = input
            process.standardOutput = output
            try process.run()
            input.fileHandleForWriting.write(Data(bytes))
            try input.fileHandleForWriting.close()
            let text = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
            return String(decoding: text, as: UTF8.self)
        }

        /// The next chunk of a body; empty at the end.
        private func chunk(_ connection: Connection) throws -> [UInt8] {
            let line = try #require(try connection.take(through: "\r\n"))
            let size = try #require(Int(line.prefix { $0.isHexDigit }, radix: 16))
            let bytes = try #require(try connection.take(size))
            _ = try connection.take(2)
            return bytes
        }

        @Test(arguments: ServerMode.allCases) func wholeBodies(_ mode: ServerMode) throws {
            try serve(mode) { server, connection in
                let gzip = "Accept-Encoding: gzip, deflate\r\n"
                let response = try connection.get("/", fields: gzip)
                #expect(response["content-encoding"] == "gzip" && response["vary"] == "Accept-Encoding")
                #expect(response["content-type"] == "text/plain; charset=utf-8")
                #expect(response.bytes.count < 100)
                #expect(try gunzip(response.bytes) == CompressionTests.text)
                let head = try connection.get("/", method: "HEAD", fields: gzip)
                for field in ["content-length", "content-encoding", "vary", "content-type"] {
                    #expect(head.all(field) == response.all(field), "\(field)")
                }
                for accepted in ["", "identity", "gzip;q=0", "deflate", "gzip;q=0.1, identity;q=0.2"] {
                    let response = try connection.get("/", fields: "Accept-Encoding: \(accepted)\r\n")
                    #expect(
                        response.body == CompressionTests.text && response["content-encoding"] == nil, "\(accepted)")
                    #expect(response["vary"] == "Accept-Encoding", "\(accepted)")
                }
                #expect(try connection.get("/").body == CompressionTests.text)
                // Small bodies, and bodies of other types.
                for path in ["/small", "/?Content-Type=image/png", "/bytes", "/never"] {
                    let response = try connection.get(path, fields: gzip)
                    #expect(response["content-encoding"] == nil && response["vary"] == nil, "\(path)")
                }
                let small = try connection.get("/small", fields: "Accept-Encoding: gzip, identity;q=0\r\n")
                #expect(try gunzip(small.bytes) == "small")
                for path in [
                    "/?Content-Type=Application/JSON;a=b", "/?Content-Type=image/svg%2Bxml",
                    "/bytes?Content-Type=text/x",
                    "/always?Content-Type=image/png",
                ] {
                    #expect(try connection.get(path, fields: gzip)["content-encoding"] == "gzip", "\(path)")
                }
            }
        }

        @Test(arguments: ServerMode.allCases) func fieldsAndExceptions(_ mode: ServerMode) throws {
            try serve(mode) { server, connection in
                func get(_ path: String, _ fields: String = "") throws -> HTTPResponse {
                    try connection.get(path, fields: "Accept-Encoding: gzip\r\n\(fields)")
                }
                for path in [
                    "/?status=206", "/?Content-Encoding=x", "/?Content-Range=bytes%200-1/2", "/?Content-Digest=x",
                    "/?Cache-Control=max-age%3D1,%20No-Transform",
                ] {
                    let response = try get(path)
                    #expect(response.body == CompressionTests.text && response["vary"] == nil, "\(path)")
                }
                #expect(try get("/", "Cache-Control: no-transform\r\n").body == CompressionTests.text)
                #expect(try get("/?status=204")["content-encoding"] == nil)
                #expect(try get("/?status=404")["content-encoding"] == "gzip")
                #expect(try get("/?ETag=%22a%22")["etag"] == "W/\"a\"")
                #expect(try get("/?ETag=W/%22a%22")["etag"] == "W/\"a\"")
                #expect(try connection.get("/?ETag=%22a%22")["etag"] == "\"a\"")
                #expect(try get("/?Accept-Ranges=bytes")["accept-ranges"] == nil)
                #expect(try get("/?Vary=Origin").all("vary") == ["Origin", "Accept-Encoding"])
                #expect(try get("/?Vary=Origin,%20accept-encoding").all("vary") == ["Origin, accept-encoding"])
                #expect(try get("/?Vary=*").all("vary") == ["*"])
                // A port without compression.
                let other = try Connection(port: server.ports[1]).get("/", fields: "Accept-Encoding: gzip\r\n")
                #expect(other.body == CompressionTests.text && other["vary"] == nil)
            }
        }

        @Test(arguments: ServerMode.allCases) func piecesCanBeReadAsTheyArrive(_ mode: ServerMode) throws {
            try serve(mode) { server, connection in
                try connection.sendRequest("/pieces", fields: "Accept-Encoding: gzip\r\n")
                let head = try connection.takeResponse()
                #expect(head["content-encoding"] == "gzip" && head["transfer-encoding"] == "chunked")
                var bytes: [UInt8] = []
                for index in 0..<5 {
                    bytes += try chunk(connection)
                    let pieces = (0...index).map { "piece \($0)\n" }.joined()
                    #expect(try gunzip(bytes) == pieces)
                }
                while case let more = try chunk(connection), !more.isEmpty { bytes += more }
                #expect(try gunzip(bytes) == (0..<5).map { "piece \($0)\n" }.joined() + "end")
                // More than any queue holds, at the pace of the client.
                try connection.sendRequest("/large", fields: "Accept-Encoding: gzip\r\n")
                #expect(try connection.takeResponse().status == 200)
                bytes = []
                while case let more = try chunk(connection), !more.isEmpty { bytes += more }
                #expect(try gunzip(bytes).utf8.count == 200 * 65_536)
                #expect(try connection.get("/").body == CompressionTests.text)
            }
        }

        @Test(arguments: ServerMode.allCases) func limitOfOpenResponses(_ mode: ServerMode) throws {
            try serve(mode) { server, connection in
                let held = try (0..<2).map { _ in try Connection(port: server.port) }
                for other in held {
                    try other.sendRequest("/hold", fields: "Accept-Encoding: gzip\r\n")
                    #expect(try other.takeResponse()["content-encoding"] == "gzip")
                }
                let response = try connection.get("/", fields: "Accept-Encoding: gzip\r\n")
                #expect(response.body == CompressionTests.text && response["vary"] == "Accept-Encoding")
                _ = try connection.get("/release")
                for other in held {
                    while try !chunk(other).isEmpty {}
                    #expect(try other.get("/", fields: "Accept-Encoding: gzip\r\n")["content-encoding"] == "gzip")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func filesAndLists(_ mode: ServerMode) throws {
            let folder = try StaticFolder.make()
            try serve(mode, folder: folder.file("public")) { server, connection in
                let gzip = "Accept-Encoding: gzip\r\n"
                let file = try connection.get("/files/a.txt", fields: gzip)
                #expect(file.body == StaticFolder.text && file["content-encoding"] == nil)
                let list = try connection.get("/files/assets/", fields: gzip)
                #expect(list["content-encoding"] == "gzip")
                #expect(try gunzip(list.bytes).contains("app.js"))
            }
        }

        @Test(arguments: ServerMode.supervised) func mistakesAreErrorsOfTheStart(_ mode: ServerMode) throws {
            let error = try ServerProcess.runFailing(.invalidCompression, mode).onlyError()
            #expect(error.code == .invalidSetting)
            #expect(error.message == "compressResponses.gzipLevel must be 1...9, got 10")
        }
    }
}
#endif
