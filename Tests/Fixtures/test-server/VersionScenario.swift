import Glibc
import SwiftServer

/// A program of which there are several versions, to be replaced while it runs.
@MainActor enum VersionScenario {
    static func register(_ server: WebSocketServer, _ options: Options) {
        server.settings.reload = .newProgram
        let version = options["version"] ?? "1"
        switch options["startup"] {
        case "exit": exit(7)
        case "hang": while true { sleep(100) }
        case "crash":
            server.onWorkerStart { _, _ in
                print("crashing")
                exit(9)
            }
        default: break
        }
        let visits = try! SharedAtomic()
        if options["moreShared"] != nil {
            do { _ = try SharedAtomic() } catch {
                print("shared \(error.code)")
                exit(8)
            }
        }
        Scenarios.tellClosing(server)
        TaskScenario.tellProcesses(server)
        server.onOpen { server, request in server.push("welcome \(request.fd)", to: request.fd) }
        server.onMessage { server, frame in
            switch frame.text {
            case "version": server.push("\(version) \(server.workerID) \(getpid())", to: frame.fd)
            case "visit": server.push("\(version) \(visits.add())", to: frame.fd)
            case "task":
                server.task(Array("\(frame.fd)".utf8)) { result in
                    if case .success(let bytes?) = result {
                        server.push(String(decoding: bytes, as: UTF8.self), to: frame.fd)
                    }
                }
            case "crash": fatalError("on purpose")
            case "reload": server.reload()
            default: server.push(frame, to: frame.fd)
            }
        }
        server.onTask { server, task -> String? in "task \(version) \(getpid())" }
        server.onRequest { _, response in response.end("version \(version)") }
    }
}
