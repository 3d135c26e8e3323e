// The demo `http-push` in the style of an application object, whose methods are the handlers.
//
//   curl 'http://127.0.0.1:9501/?message=hello', while WebSocket clients are connected to the same port.
//
// `broadcast` would be shorter. This one shows the loop over all connections: it skips those that are no WebSockets,
// and a push to one that has just closed returns `.closed` and does no harm.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
final class Application {
    let server: WebSocketServer

    init(port: Int) {
        server = WebSocketServer(host: "127.0.0.1", port: port)
        server.onMessage(receive)
        server.onRequest(push)
        server.onStart { print("listening on http://127.0.0.1:\($0.port)/ and ws://127.0.0.1:\($0.port)/") }
    }

    func receive(_ server: WebSocketServer, _ frame: Frame) {
        server.push("received: \(frame.text)", to: frame.fd)
    }

    func push(_ request: Request, _ response: Response) {
        let message = request.query["message"] ?? ""
        var count = 0
        for fd in server.connections where server.isEstablished(fd) {
            if server.push(message, to: fd).isAccepted { count += 1 }
        }
        response.end("sent to \(count)\n")
    }
}

let application = Application(port: port)
application.server.serve()
