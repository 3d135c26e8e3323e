import Glibc
import SwiftServer

/// Answers that are larger than the ring to the master: "NUMBER" is answered by a text that begins with the number, and
/// "accepted NUMBER" is printed when the server has accepted that. "stop" stops this process until it is continued.
/// "task WORD" has a task worker do the same, whose results are passed on.
@MainActor enum LargeAnswerScenario {
    static func register(_ server: WebSocketServer) {
        server.onMessage { server, frame in
            if frame.text == "stop" { return stop() }
            if frame.text.hasPrefix("task ") {
                server.task("\(frame.fd) \(frame.text.dropFirst(5))")
                return
            }
            report(frame.text, server.push(answer(frame.text), to: frame.fd).isAccepted)
        }
        server.onTask { (_, task: ServerTask) -> Void in
            let words = task.text.split(separator: " ").map(String.init)
            if words[1] == "stop" { stop() } else { report(words[1], task.finish(answer(task.text))) }
        }
        server.onFinish { server, _, bytes in
            let words = String(decoding: bytes.prefix(64), as: UTF8.self).split(separator: " ")
            guard words.count > 1, let fd = UInt64(words[0]) else { return }
            server.push(answer(String(words[1])), to: ConnectionID(rawValue: fd))
        }
        server.onTaskError { _, id, error in print("taskError \(id) \(error)") }
        server.onRequest { request, response in
            let number = String(request.path.dropFirst())
            response.end(answer(number))
            report(number, true)
        }
    }

    private static func answer(_ number: String) -> String { "\(number) " + String(repeating: "x", count: 200_000) }

    private static func report(_ number: String, _ isAccepted: Bool) {
        print("\(isAccepted ? "accepted" : "refused") \(number)")
    }

    private static func stop() {
        print("stopping \(getpid())")
        kill(getpid(), SIGSTOP)
    }
}
