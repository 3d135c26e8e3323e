// A server in a program with an asynchronous `main`. It forks, so it comes before anything that starts threads; with
// `mode: .single` it may also be one of several tasks.
import SwiftServer

struct App {
    static func main() async throws {
        let server = WebSocketServer(host: "127.0.0.1", port: 9501)
        server.onMessage { server, frame in
            guard let number = Int(frame.text) else { throw NotANumber(text: frame.text) }
            server.push("\(number * 2)", to: frame.fd)
        }
        // Returns after SIGTERM, `shutdown()`, or when its task was cancelled.
        try await server.run()
        print("the server has ended")
    }
}

struct NotANumber: Error {
    let text: String
}

// In a file of its own, `@main` before `struct App` replaces this line.
try await App.main()
