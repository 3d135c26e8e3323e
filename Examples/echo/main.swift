// The program that tools and benchmarks drive. Any path accepts WebSocket and echoes text and binary; messages on
// /broadcast go to all connections of that path. `GET /hello` answers "hello world.", `GET /` a page; with `--files`,
// `GET /users/:id` answers JSON and `GET /files/NAME` a file. It prints one line, `ready PORT PID`, when it accepts.
import SwiftServer

let options = Options(CommandLine.arguments)
if options.tcp { serveTCP(options) }
if options.udp { serveUDP(options) }
let server = WebSocketServer(host: options.host, port: options.port, mode: options.mode)
server.settings.workerCount = options.workers
server.settings.reactorCount = options.reactors
server.settings.maxMessage = options.maxMessage
if options.compress == .yes { server.settings.compression = Compression() }
if let certificate = options.certificate, let key = options.key {
    server.tls = TLSConfiguration(certificateFile: certificate, privateKeyFile: key)
}

/// The connections of this worker that opened `topic`. What they say goes to the connections of all workers. It is used
/// with each message, by one handler at a time, so accesses need not be checked for overlaps.
@exclusivity(unchecked) var talkers: Set<ConnectionID> = []
let topic = "/broadcast"
if let url = options.cluster {
    server.cluster = url.hasPrefix("nats:") ? .nats(url) : .redis(url)
    if options.history > 0 { server.cluster.topics[topic] = TopicSettings(history: options.history) }
}

server.onOpen { server, request in
    guard request.path == topic else { return }
    talkers.insert(request.fd)
    server.subscribe(request.fd, to: topic)
}
server.onClose { _, fd, _ in talkers.remove(fd) }

@MainActor func answer(_ server: WebSocketServer, _ frame: Frame) {
    if talkers.contains(frame.fd) {
        server.publish(frame, to: topic)
    } else {
        server.push(frame, to: frame.fd)
    }
}

switch options.handler {
case .callback:
    server.onMessage { server, frame in answer(server, frame) }
case .span:
    server.onMessageSpan { server, fd, opcode, bytes in
        if talkers.contains(fd) {
            server.publish(bytes, to: topic, opcode: opcode)
        } else {
            server.push(bytes, to: fd, opcode: opcode)
        }
    }
case .async:
    server.onMessage { (server, frame) async in answer(server, frame) }
case .straight:
    server.handle("/") { request, ws in
        guard request.isHandshake else { return plain(request, ws) }
        try await ws.upgrade()
        for try await frame in ws.frames { try await ws.push(frame) }
    }
    server.handle(topic) { request, ws in
        try await ws.upgrade()
        ws.subscribe(to: topic)
        for try await frame in ws.frames { server.publish(frame, to: topic) }
    }
case .routed, .prepared, .wrapped, .logged:
    if options.handler == .prepared { server.use { _, _ in } }
    if options.handler == .wrapped { server.use { request, response, next in try await next(request, response) } }
    if options.handler == .logged { server.use(AccessLog(.combined, file: "/dev/null")) }
    server.get("/") { _, response in answerWithPage(response) }
    server.get("/:page") { request, response in
        guard request.parameters["page"] == "hello" else { throw NotFound() }
        response.header("Content-Type", "text/plain")
        response.end("hello world.")
    }
}

if let folder = options.files {
    server.files(at: "/files", from: folder)
    server.get("/users/:id") { request, response in
        let id = try request.parameters.get("id", as: Int.self)
        response.header("Content-Type", "application/json")
        response.end("{\"id\":\(id),\"name\":\"Ada\"}")
    }
}

struct NotFound: RequestError {
    let status = 404
    let message = "not found"
}

@MainActor func answerWithPage(_ response: Response) {
    response.header("Content-Type", "text/html; charset=utf-8")
    response.end(page)
}

@MainActor func plain(_ request: Request, _ ws: WebSocket) {
    ws.status(request.path == "/hello" ? 200 : 404)
    ws.end(request.path == "/hello" ? "hello world." : "not found\n")
}

@MainActor func answer(_ request: Request, _ response: Response) {
    switch request.path {
    case "/hello":
        response.header("Content-Type", "text/plain")
        response.end("hello world.")
    case "/": answerWithPage(response)
    default:
        response.status(404)
        response.end("not found\n")
    }
}

if options.handler == .async {
    server.onRequest { (request, response) async in answer(request, response) }
} else {
    server.onRequest { request, response in answer(request, response) }
}

server.onStart { server in print("ready \(server.port) \(server.masterPID)") }

server.serve()
