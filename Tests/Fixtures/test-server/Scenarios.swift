import CReactor
import CReactorInternal
import Dispatch
import Glibc
import SwiftServer
import TestProtocol

@MainActor enum Scenarios {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        switch configuration.scenario {
        case .general: general(server)
        case .span: span(server)
        case .async: AsyncScenario.register(server)
        case .echo: echoOnEveryPort(server, configuration)
        case .behaviour: BehaviourScenario.register(server, configuration)
        case .broadcast: BroadcastScenario.register(server)
        case .chaos: ChaosScenario.register(server)
        case .clientCertificates: ClientCertificateScenario.register(server, configuration)
        case .clients: ClientScenario.register(server, configuration)
        case .conformance: ConformanceScenario.register(server, configuration)
        case .connection: ConnectionScenario.register(server, configuration)
        case .control: ControlScenario.register(server, configuration)
        case .dispatch: DispatchScenario.register(server, configuration)
        case .compression, .invalidCompression: CompressionScenario.register(server, configuration)
        case .files, .invalidFiles: FileScenario.register(server, configuration)
        case .drain: DrainScenario.register(server, configuration)
        case .history: HistoryScenario.register(server)
        case .http2: HTTP2Scenario.register(server, configuration)
        case .json: JSONScenario.register(server)
        case .handshakes: HandshakeScenario.register(server)
        case .taskPorts: TaskPortScenario.register(server)
        case .addresses: AddressScenario.register(server, configuration)
        case .info: InfoScenario.register(server)
        case .lateChanges: LateChangeScenario.register(server, configuration)
        case .informational: InformationalScenario.register(server)
        case .largeAnswers: LargeAnswerScenario.register(server, configuration)
        case .overwriting: OverwritingScenario.register(server)
        case .presence: PresenceScenario.register(server, configuration)
        case .ports: PortScenario.register(server, configuration)
        case .routing: RoutingScenario.register(server, configuration)
        case .shared: SharedScenario.registerOrReport(server)
        case .straightLine: StraightLineScenario.register(server, configuration)
        case .tasks: TaskScenario.register(server, configuration)
        case .throwing: ThrowingScenario.register(server, configuration)
        case .timers: TimerScenario.register(server, configuration)
        case .upload: UploadScenario.register(server)
        case .web: WebScenario.register(server, configuration)
        case .values: ValuesScenario.register(server)
        case .version: VersionScenario.register(server, configuration)
        case .blocking: BlockScenario.register(server, configuration)
        case .middleware: MiddlewareScenario.register(server, configuration)
        case .monitoring: MonitoringScenario.register(server)
        case .noisy: LogScenario.register(server)
        case .successor: SuccessorScenario.register(server, configuration)
        case .noMessage: server.onRequest { _, response in response.end() }
        default:
            echo(server)
            registerEcho(server, configuration)
        }
    }

    /// Scenarios whose servers echo.
    private static func registerEcho(_ server: WebSocketServer, _ configuration: Configuration) {
        switch configuration.scenario {
        case .signals: SignalScenario.register(server)
        case .stopping:
            server.onWorkerStart { server, id in Event.stopped(worker: id, server.stop()).report() }
        case .noReceive: server.listen(.tcp)
        case .noPacket: server.listen(.udp)
        case .badRoute: server.get("/users/:id/posts/:id") { _, _ in }
        case .badFraming:
            let port = server.listen(.tcp)
            port.settings.framing = .endMarker("123456789")
            port.onReceive { (_, _, _: [UInt8]) in }
        case .briefly:
            server.onStart { server in
                reportReady(server, configuration)
                server.shutdown()
            }
        case .crashing: server.onStart { _ in fatalError("on purpose") }
        case .executor:
            let before = mainExecutor
            server.onStart { server in
                Event.executor(isLoop: mainExecutor != before).report()
                reportReady(server, configuration)
            }
        case .dying: die(server)
        case .fullDisk: LogScenario.fillDisk()
        case .thread: startThread()
        case .task: startTask()
        case .addressClient: useClient("127.0.0.1")
        case .nameClient: useClient("name.invalid")
        default: break
        }
    }

    static func reportLifeCycle(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onStart { reportReady($0, configuration) }
        server.onShutdown { _ in Event.shutdown(pid: getpid()).report() }
        server.onManagerStart { _ in Event.managerStart(pid: getpid()).report() }
        server.onManagerStop { _ in Event.managerStop(pid: getpid()).report() }
        server.onWorkerStart { _, id in Event.workerStart(id: id, pid: getpid()).report() }
        server.onWorkerStop { _, id in Event.workerStop(id: id, pid: getpid()).report() }
    }

    static func reportReady(_ server: WebSocketServer, _ configuration: Configuration) {
        alarm(configuration.patience ?? 120)  // the one of the beginning is not inherited by a server in the background
        Event.ready(port: server.port, pid: getpid(), ports: server.ports.map(\.port)).report()
    }

    static func reportClosing(_ server: WebSocketServer) {
        server.onClose { server, fd, reason in Event.close(fd, reason.code, reason.cause, reason.text).report() }
    }

    private static func echo(_ server: WebSocketServer) {
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
    }

    private static func echoOnEveryPort(_ server: WebSocketServer, _ configuration: Configuration) {
        echo(server)
        reportClosing(server)
        let bytes = server.listen(.tcp)
        bytes.tls = configuration.tls
        bytes.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
        server.onRequest { request, response in
            let isSecure = server.connectionInfo(request.fd)?.isSecure == true
            response.end(request.path == "/secure" ? "\(request.isSecure) \(isSecure)" : "hello")
        }
    }

    private static func general(_ server: WebSocketServer) {
        server.onOpen { server, request in
            Event.open(request.fd).report()
            welcome(request.fd, server)
        }
        reportClosing(server)
        server.onMessage { server, frame in
            guard let command = command(frame) else {
                server.push(frame, to: frame.fd)
                return
            }
            if let answer = Commands.run(command, from: frame.fd, server) { server.answer(answer, to: frame.fd) }
        }
        server.onRequest { request, response in Pages.answer(request, response, server) }
    }

    private static func span(_ server: WebSocketServer) {
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessageSpan { server, fd, opcode, bytes in
            server.push(bytes, to: fd, opcode: opcode)
        }
    }

    /// What runs the main actor in this process.
    private static var mainExecutor: [UInt] {
        let words = unsafe unsafeBitCast(MainActor.sharedUnownedExecutor, to: (UInt, UInt).self)
        return [words.0, words.1]
    }

    /// Each worker ends as soon as it has started.
    private static func die(_ server: WebSocketServer) {
        server.onWorkerStart { _, id in
            Event.workerStart(id: id, pid: getpid()).report()
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

    /// Uses a client before the start. Nobody listens.
    private static func useClient(_ host: String) {
        _ = try? Client.connect(.tcp, host: host, port: 1, timeout: .seconds(1))
    }

    private static func waitForThreads() {
        while cre_process_threads() == 1 { usleep(1000) }
    }
}
