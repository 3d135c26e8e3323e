import CReactor
import CReactorInternal
import Dispatch
import Glibc
import SwiftServer

@MainActor enum Scenarios {
    typealias Scenario = @MainActor (WebSocketServer, Options) -> Void

    static let all: [String: Scenario] = [
        "general": { server, _ in general(server) },
        "span": { server, _ in span(server) },
        "async": { server, _ in AsyncScenario.register(server) },
        "noRequest": { server, _ in echo(server) },
        "echo": { server, options in
            echo(server)
            tellClosing(server)
            let bytes = server.listen(.tcp)
            bytes.tls = options.tls
            bytes.onReceive { (server: WebSocketServer, fd: ConnectionID, bytes: [UInt8]) in server.send(bytes, to: fd)
            }
            server.onWorkerStart { server, id in
                print("bytes \(server.ports[1].port)")
                print("workerStart \(id) \(getpid())")
            }
            server.onRequest { request, response in
                let isSecure = server.connectionInfo(request.fd)?.isSecure == true
                response.end(request.path == "/secure" ? "\(request.isSecure) \(isSecure)" : "hello")
            }
        },
        "behaviour": { server, options in BehaviourScenario.register(server, options) },
        "chaos": { server, _ in ChaosScenario.register(server) },
        "signals": { server, _ in
            echo(server)
            SignalScenario.register(server)
        },
        "stopping": { server, _ in
            echo(server)
            server.onWorkerStart { server, id in
                print("workerStart \(id) \(server.stop())")
            }
        },
        "timers": { server, _ in TimerScenario.register(server) },
        "dispatch": { server, options in DispatchScenario.register(server, options) },
        "tasks": { server, options in TaskScenario.register(server, options) },
        "version": { server, options in VersionScenario.register(server, options) },
        "noTask": { server, _ in echo(server) },
        "upload": { server, _ in UploadScenario.register(server) },
        "broadcast": { server, _ in BroadcastScenario.register(server) },
        "shared": { server, _ in
            do throws(SharedMemoryError) { try SharedScenario.register(server) } catch { print(error) }
        },
        "noMessage": { server, _ in server.onRequest { _, response in response.end() } },
        "connection": { server, _ in ConnectionScenario.register(server) },
        "drain": { server, options in DrainScenario.register(server, options) },
        "ports": { server, options in PortScenario.register(server, options) },
        "noReceive": { server, _ in
            echo(server)
            server.listen(.tcp)
        },
        "noPacket": { server, _ in
            echo(server)
            server.listen(.udp)
        },
        "badFraming": { server, _ in
            echo(server)
            let port = server.listen(.tcp)
            port.settings.framing = .endMarker("123456789")
            port.onReceive { (_, _, _: [UInt8]) in }
        },
        "briefly": { server, _ in
            echo(server)
            server.onStart { server in
                print("ready \(server.port) \(getpid())")
                server.shutdown()
            }
        },
        "crashing": { server, _ in
            echo(server)
            server.onStart { _ in fatalError("on purpose") }
        },
        "executor": { server, _ in
            echo(server)
            let before = mainExecutor
            server.onStart { server in
                print("executor is \(mainExecutor == before ? "the runtime's" : "the loop")")
                print("ready \(server.port) \(getpid())")
            }
        },
        "dying": { server, _ in dying(server) },
        "thread": { server, _ in
            echo(server)
            startThread()
        },
        "task": { server, _ in
            echo(server)
            startTask()
        },
    ]

    static func tellLifeCycle(_ server: WebSocketServer, _ options: Options) {
        let patience = options.patience
        server.onStart {
            alarm(patience)  // the one of the beginning is not inherited by a server in the background
            print("ready \($0.port) \(getpid())")
        }
        server.onShutdown { _ in print("shutdown \(getpid())") }
        server.onManagerStart { _ in print("managerStart \(getpid())") }
        server.onManagerStop { _ in print("managerStop \(getpid())") }
        server.onWorkerStart { _, id in print("workerStart \(id) \(getpid())") }
        server.onWorkerStop { _, id in print("workerStop \(id) \(getpid())") }
    }

    static func tellClosing(_ server: WebSocketServer) {
        server.onClose { server, fd, reason in
            print("close \(fd) \(reason.code) [\(reason.cause)] \(reason.text)")
        }
    }

    private static func echo(_ server: WebSocketServer) {
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
    }

    private static func general(_ server: WebSocketServer) {
        server.onOpen { server, request in
            print("open \(request.fd)")
            server.push("welcome \(request.fd)", to: request.fd)
        }
        tellClosing(server)
        server.onMessage { server, frame in
            guard frame.opcode == .text, frame.text.hasPrefix("/") else {
                server.push(frame, to: frame.fd)
                return
            }
            if let answer = Commands.run(frame.text.dropFirst(), from: frame.fd, server) {
                server.push(answer, to: frame.fd)
            }
        }
        server.onRequest { request, response in Pages.answer(request, response, server) }
    }

    private static func span(_ server: WebSocketServer) {
        server.onOpen { server, request in server.push("welcome \(request.fd)", to: request.fd) }
        server.onMessage { (server: WebSocketServer, fd: ConnectionID, opcode: Opcode, bytes: RawSpan) in
            server.push(bytes, to: fd, opcode: opcode)
        }
    }

    /// What runs the main actor in this process.
    private static var mainExecutor: [UInt] {
        let words = unsafe unsafeBitCast(MainActor.sharedUnownedExecutor, to: (UInt, UInt).self)
        return [words.0, words.1]
    }

    /// Each worker ends as soon as it has started.
    private static func dying(_ server: WebSocketServer) {
        echo(server)
        server.onWorkerStart { _, id in
            print("workerStart \(id) \(getpid())")
            fflush(nil)
            _exit(7)
        }
    }

    private static func startThread() {
        DispatchQueue.global().async { sleep(60) }
        waitForThreads()
    }

    private static func startTask() {
        Task.detached { sleep(60) }
        waitForThreads()
    }

    private static func waitForThreads() {
        while cre_process_threads() == 1 { usleep(1000) }
    }
}
