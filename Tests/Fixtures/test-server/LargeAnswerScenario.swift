import Glibc
import SwiftServer
import TestProtocol

/// Answers that are larger than the ring to the master, and processes that stop before they give them.
@MainActor enum LargeAnswerScenario {
    /// What a task worker is to do for a client: `nil` means to stop.
    private struct Order: Codable {
        let client: ConnectionID
        let number: Int?
    }

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        if configuration.compresses == true { server.settings.compression = Compression() }
        server.onMessage { server, frame in
            switch command(frame) {
            case .stopProcess: stop()
            case .stopTaskWorker: server.task(encoded(Order(client: frame.fd, number: nil)))
            case .answerLargely(let number):
                report(number, server.push(text(number), to: frame.fd).isAccepted)
            case .haveTaskAnswerLargely(let number):
                server.task(encoded(Order(client: frame.fd, number: number)))
            default: server.push(frame, to: frame.fd)
            }
        }
        server.onTask { (_, task: ServerTask) -> Void in
            guard let order = try? decoded(Order.self, task.text) else { return }
            guard let number = order.number else { return stop() }
            report(number, task.finish("\(task.text)\n\(text(number))"))
        }
        server.onFinish { server, _, bytes in
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 1)
            guard lines.count == 2, let order = try? decoded(Order.self, String(lines[0])) else { return }
            server.push(String(lines[1]), to: order.client)
        }
        server.onTaskError { server, id, error in
            Event.taskError(worker: server.workerID, id: id.rawValue, error: "\(error)").report()
        }
        server.onRequest { request, response in
            let number = Int(request.path.dropFirst()) ?? 0
            response.end(text(number))
            report(number, true)
        }
    }

    private static func text(_ number: Int) -> String { "\(number) " + String(repeating: "x", count: 200_000) }

    private static func report(_ number: Int, _ isAccepted: Bool) {
        Event.largeAnswer(number, isAccepted: isAccepted).report()
    }

    private static func stop() {
        Event.stopping(pid: getpid()).report()
        kill(getpid(), SIGSTOP)
    }
}
