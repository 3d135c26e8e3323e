import Glibc
import SwiftServer

/// What the general scenario answers to plain HTTP.
@MainActor enum Pages {
    static func answer(_ request: Request, _ response: Response, _ server: WebSocketServer) {
        switch request.path {
        case "/":
            response.header("Content-Type", "text/plain")
            response.end("hello")
        case "/fd": response.end("\(request.fd)")
        case "/query": response.end(request.query.map { "\($0.name)=\($0.value)" }.joined(separator: ";"))
        case "/body": response.end(request.body)
        case "/nothing": break
        case "/status":
            let good = response.status(Int(request.query["code"] ?? "") ?? 0)
            response.end("\(good)")
        case "/cookies":
            response.header("Set-Cookie", "a=1")
            response.header("Set-Cookie", "b=2")
            response.end(request.cookies.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined())
        case "/refused":
            let results = [
                response.header("X-Injected", "a\r\nX-Evil: b"), response.header("X-Evil: a\r\nX", "b"),
                response.header("", "b"), response.header("X Evil", "b"), response.header("X-Evil", "a\0b"),
                response.header("X-Good", "yes"),
            ]
            response.end(results.map { $0 ? "taken" : "refused" }.joined(separator: " "))
        case "/twice":
            response.end("first")
            let second = response.end("second")
            print("second \(second) \(response.status(201)) \(response.header("X-Late", "1"))")
        case "/later":
            let delay = Int(request.query["ms"] ?? "") ?? 0
            Task {
                await server.sleep(for: .milliseconds(delay))
                response.end("later")
            }
        case "/dropped":
            Task {
                await server.sleep(for: .milliseconds(20))
                response.status(204)
            }
        case "/droppedElsewhere":
            Task {
                let kept = response
                kept.header("X-Kept", "1")
                Task.detached { _ = kept }
            }
        case "/pieces":
            response.header("X-Kept", "1")
            let results = [
                response.write(""), response.write("one "), response.write([UInt8]("two ".utf8)), response.status(201),
                response.header("X-Late", "1"), response.sendFile("/etc/passwd"),
            ]
            response.end(results.map { "\($0)" }.joined(separator: " "))
        case "/slowPieces":
            Task {
                for piece in 0..<3 {
                    _ = response.write("\(piece)")
                    await server.sleep(for: .milliseconds(5))
                }
            }
        case "/cutOff":
            _ = response.write("one")
            Task {
                await server.sleep(for: .milliseconds(50))
                kill(getpid(), SIGKILL)
                response.end("never")
            }
        case "/file":
            let query = request.query
            response.sendFile(
                query["path"] ?? "", offset: Int(query["offset"] ?? "") ?? 0, length: Int(query["length"] ?? ""))
        case "/push":
            let fd = ConnectionID(rawValue: UInt64(request.query["fd"] ?? "") ?? 0)
            response.end(server.push(request.query["text"] ?? "", to: fd).description)
        default:
            response.status(404)
            response.end("not found")
        }
    }
}
