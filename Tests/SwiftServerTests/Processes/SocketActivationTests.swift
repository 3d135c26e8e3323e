import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Sockets that a service manager passes (`LISTEN_FDS`).
    @Suite struct SocketActivationTests {
        /// Binds sockets, from descriptor 3 on, and executes the rest of its arguments in the same process. Its first
        /// argument has a name and a kind for each: "web=tcp other=unix:/path".
        private static let manager = """
            import os, socket, sys
            names, last = [], 2
            for word in sys.argv[1].split():
                name, _, kind = word.partition("=")
                names.append(name)
                if kind == "file":
                    made = os.open("/dev/null", os.O_RDONLY)
                elif kind.startswith("unix:"):
                    listener = socket.socket(socket.AF_UNIX)
                    listener.bind(kind[5:])
                    listener.listen()
                    made = listener.detach()
                else:
                    listener = socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
                    listener.bind(("127.0.0.1", 0))
                    if kind == "tcp":
                        listener.listen()
                    made = listener.detach()
                last += 1
                if made != last:
                    os.dup2(made, last)
                    os.close(made)
                os.set_inheritable(last, True)
            os.environ.update(LISTEN_FDS=str(len(names)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(names))
            os.execv(sys.argv[2], sys.argv[2:])
            """

        private func run(
            _ mode: ServerMode, _ sockets: String, _ configure: (inout Configuration) -> Void,
            test: (ServerProcess) throws -> Void
        ) throws {
            let runner = ["/usr/bin/python3", "-c", SocketActivationTests.manager, sockets]
            let scenario = mode == .single ? Scenario.general : .version
            try ServerProcess.run(scenario, mode, runner: runner, configure, test: test)
        }

        /// The port is that of the socket, in all processes, and stays open when they are replaced.
        @Test(arguments: ServerMode.allCases) func aSocketIsFoundByItsName(_ mode: ServerMode) throws {
            try run(mode, "other=tcp web=tcp", { $0.socketName = "web" }) { server in
                #expect(server.port > 0)
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                #expect(server.log.contains("no port uses these sockets"))
                guard mode != .single else { return }
                server.signal(SIGUSR1)
                try server.workerStart(0, 2)
                #expect(try WebSocketClient(port: server.port).ask("again") == "again")
            }
        }

        /// The file of a Unix socket is the service manager's.
        @Test func aSocketIsFoundByItsAddress() throws {
            let folder = try Folder()
            let path = folder.file("socket")
            try run(.process, "=unix:\(path)", { $0.host = "unix:\(path)" }) { server in
                let client = try Connection.local(path: path)
                #expect(try client.get("/").status != 0)
                #expect(!server.log.contains("no port uses"))
                try server.stop()
            }
            #expect(FileManager.default.fileExists(atPath: path))
        }

        @Test func otherDescriptorsAreRefused() throws {
            let folder = try Folder()
            for (sockets, words) in [
                ("web=file", "is not a socket"), ("web=udp", "is for datagrams, not for connections"),
                ("web=bound", "does not listen"), ("=tcp other=tcp", "no socket with this name"),
                ("web=unix:\(folder.file("socket"))", "is a Unix socket, and host is not"),
            ] {
                let runner = ["/usr/bin/python3", "-c", SocketActivationTests.manager, sockets]
                let server = try ServerProcess.runFailing(.version, runner: runner) { $0.socketName = "web" }
                let (code, message) = try server.onlyError()
                #expect(code == .bindFailed)
                #expect(message.contains("socketName \"web\": ") && message.contains(words), "\(message)")
            }
        }
    }
}
