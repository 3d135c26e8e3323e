import Glibc
import SwiftServer
import TestProtocol

/// Requests and responses as web applications use them.
@MainActor enum WebScenario {
    private static var outcomes: [ResponseOutcome] = []
    private static var streams: [EventStream] = []
    private static var closedStreams = 0

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.settings.trustedProxies = ["127.0.0.1", "10.0.0.0/8"]
        server.settings.requestIDField = "X-Request-Id"
        server.settings.streamRequestBodies = configuration.isAsync == true
        server.settings.maxBody = 64 << 20
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in
            if request.path != "/outcomes" { response.onEnd { outcomes.append($0) } }
            try await answer(request, response, server)
        }
    }

    private static func answer(_ request: Request, _ response: Response, _ server: WebSocketServer) async throws {
        switch request.path {
        case "/outcomes":
            response.end(
                outcomes.map { "\($0.status) \($0.bytesSent) \($0.isComplete)" }.joined(separator: ", "))
            outcomes = []
        case "/text": response.end("text")
        case "/typed":
            response.header("content-type", "text/html")
            response.end("<p>")
        case "/bytes": response.end([1, 2, 3])
        case "/file":
            response.sendFile(
                request.query["path"] ?? "", offset: request.query["offset"].flatMap(Int.init) ?? 0,
                length: request.query["length"].flatMap(Int.init))
        case "/headers":
            response.header("X-A", "1")
            response.header("x-a", "2")
            response.header("X-B", "3")
            response.headers["X-A"] = "4"
            response.headers["X-B"] = nil
            response.status(201)
            response.end("\(response.headers["x-a"] ?? "-") \(response.headers.all.count) \(response.status)")
        case "/cookie":
            try response.cookie(Cookie("a", "1"))
            try response.cookie(Cookie("b", "2", path: nil, isHTTPOnly: false, sameSite: nil))
            try response.deleteCookie("c")
            response.end()
        case "/redirect": response.redirect(to: request.query["to"] ?? "/")
        case "/versioned":
            guard response.meetsConditions(of: request, entityTag: "\"v1\"", lastModified: 784_111_777.9) else {
                return
            }
            response.end("version 1")
        case "/client":
            response.end("\(request.clientAddress ?? "-") \(request.scheme) \(request.host) \(request.requestID)")
        default: try await answerLonger(request, response, server)
        }
    }

    private static func answerLonger(
        _ request: Request, _ response: Response, _ server: WebSocketServer
    ) async throws {
        switch request.path {
        case "/trailers":
            let isTaken = response.trailer("X-Sum", "6", for: request)
            let isRefused = response.trailer("Content-Length", "6", for: request)
            if request.query["whole"] == nil { try await response.write("abc") }
            response.end("\(isTaken) \(isRefused)")
        case "/stream":
            let piece = [UInt8](repeating: 65, count: 65_536)
            for _ in 0..<(Int(request.query["pieces"] ?? "") ?? 1) { try await response.write(piece) }
        case "/late":
            response.limit(to: .milliseconds(20))
            await server.sleep(for: .milliseconds(request.query["on-time"] == nil ? 400 : 1))
            response.end("in time")
        case "/events":
            let events = response.events(heartbeat: .milliseconds(20))
            events.onClose { closedStreams += 1 }
            try await events.send(
                "last \(request.lastEventID ?? "none")\nline 2", event: "first", id: "1", retry: .seconds(2))
            if request.query["keep"] != nil { streams.append(events) }
        case "/broadcast":
            response.end("\(streams.count { $0.trySend("to all") }) of \(streams.count), \(closedStreams) closed")
        case "/many-fields":
            // As nghttp2 counts they are more than 64 KiB, as they are packed they are not.
            for number in 0..<1100 { response.header("x-\(number)", String(repeating: "a", count: 40)) }
            switch request.query["how"] {
            case "write": try await response.write("abc")
            case "file": response.sendFile("/proc/self/exe", length: 10)
            case "trailers": _ = response.trailer("X-Sum", "6", for: request)
            default: break
            }
            response.end("abc")
        case "/upload": try await upload(request, response)
        case "/form": response.end(try await request.form(upTo: 100)["a"] ?? "none")
        default:
            response.status(404)
            response.end("not found")
        }
    }

    private static func upload(_ request: Request, _ response: Response) async throws {
        let folder = request.query["folder"] ?? "/nowhere"
        var lines: [String] = []
        var files: [UploadedFile] = []
        for try await part in request.parts(limits: MultipartLimits(parts: 3, partSize: 20 << 20)) {
            if part.fileName == nil {
                lines.append("\(part.name)=\(try await part.text(upTo: 10))")
            } else {
                let file = try await part.store(in: folder)
                files.append(file)
                lines.append("\(part.name) \(file.size)")
            }
        }
        if let name = request.query["keep"] { try files.first?.move(to: "\(folder)/\(name)") }
        response.end(lines.joined(separator: ", "))
    }
}
