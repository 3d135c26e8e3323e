import Glibc
import SwiftServer
import TestProtocol

/// The answers of the general scenario to plain HTTP.
@MainActor enum Pages {
    static func answer(_ request: Request, _ response: Response, _ server: WebSocketServer) {
        switch request.path {
        case "/":
            response.header("Content-Type", "text/plain")
            response.end("hello")
        case "/query": response.end(request.query.map { "\($0.name)=\($0.value)" }.joined(separator: ";"))
        case "/body": response.end(request.body)
        default:
            if let page = Page(request) { return answer(page, request, response, server) }
            response.status(404)
            response.end("not found")
        }
    }

    private static func answer(_ page: Page, _ request: Request, _ response: Response, _ server: WebSocketServer) {
        switch page {
        case .fd: response.end("\(request.fd)")
        case .nothing: break
        case .status(let code):
            let result = response.status(code)
            response.end("\(result)")
        case .cookies:
            response.header("Set-Cookie", "a=1")
            response.header("Set-Cookie", "b=2")
            response.end(request.cookies.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined())
        case .refusedFields:
            let results = [
                response.header("X-Injected", "a\r\nX-Evil: b"), response.header("X-Evil: a\r\nX", "b"),
                response.header("", "b"), response.header("X Evil", "b"), response.header("X-Evil", "a\0b"),
                response.header("X-Large", String(repeating: "a", count: 1 << 20)), response.header("X-Good", "yes"),
            ]
            response.end(results.map(\.description).joined(separator: " "))
        case .endTwice:
            response.end("first")
            let second = response.end("second")
            let results = [second, response.status(201), response.header("X-Late", "1"), response.write("late")]
            Event.lateResponse(results.map(\.description)).report()
        case .block(let time):
            usleep(UInt32(time / .microseconds(1)))
            response.end("blocked")
        case .later(let delay):
            Task {
                await server.sleep(for: delay)
                response.end("later")
            }
        case .dropped:
            Task {
                await server.sleep(for: .milliseconds(20))
                response.status(204)
            }
        case .droppedElsewhere:
            Task {
                let kept = response
                kept.header("X-Kept", "1")
                Task.detached { _ = kept }
            }
        case .pieces:
            response.header("X-Kept", "1")
            let results = [
                response.write(""), response.write("one "), response.write([UInt8]("two ".utf8)), response.status(201),
                response.header("X-Late", "1"), response.sendFile("/etc/passwd"),
            ]
            response.end(results.map(\.description).joined(separator: " "))
        case .slowPieces:
            Task {
                for piece in 0..<3 {
                    let _: Bool = response.write("\(piece)")
                    await server.sleep(for: .milliseconds(5))
                }
            }
        case .cutOff:
            _ = response.write("one")
            Task {
                await server.sleep(for: .milliseconds(50))
                kill(getpid(), SIGKILL)
                response.end("never")
            }
        case .file(let path, let offset, let length): response.sendFile(path, offset: offset, length: length)
        case .push(let text, let fd): response.end(server.push(text, to: fd).description)
        case .name, .hold, .release: response.status(501)
        }
    }
}
