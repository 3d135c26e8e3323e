import Glibc
import SwiftServer

/// The program `swiftserver`.
@main enum Tool {
    static func main() async {
        do {
            try await run(Array(CommandLine.arguments.dropFirst()))
        } catch let failure as Failure {
            Output.error("swiftserver: \(failure.message)")
            exit(failure.kind.rawValue)
        } catch {
            Output.error("swiftserver: \(error)")
            exit(Failure.Kind.failed.rawValue)
        }
    }

    private static func run(_ arguments: [String]) async throws {
        guard let name = arguments.first else { throw Failure(.usage, "a command is missing (see swiftserver --help)") }
        switch name {
        case "--help", "-h", "help": return Output.write(Help.text)
        case "--version": return Output.line("swiftserver \(version)")
        default: break
        }
        guard let command = Command.named(name) else {
            throw Failure(.usage, "unknown command \"\(name)\" (see swiftserver --help)")
        }
        do {
            let arguments = try Arguments(Array(arguments.dropFirst()), for: command)
            if arguments.has("help") { return Output.write(Help.text(command)) }
            try await run(command, arguments)
        } catch let mistake as Arguments.Mistake {
            throw Failure(.usage, "\(mistake.message) (see swiftserver \(command.name) --help)")
        }
    }

    private static func run(_ command: Command, _ arguments: Arguments) async throws {
        switch command.name {
        case "ws": return try await WebSocketCommand(arguments).run()
        case "bench": return try await BenchCommand(arguments).run()
        case "serve": return try await ServeCommand.run(arguments)
        case "completion": return Output.write(Completion.script(arguments.operands[0]))
        case "manual": return Output.write(Manual.text(version: version))
        default: break
        }
        let socket = try SocketCommands(arguments)
        switch command.name {
        case "top": try await TopCommand(socket.client, arguments).run()
        case "status": try await socket.status()
        case "connections": try await socket.connections()
        case "topics": try await socket.topics()
        case "publish": try await socket.publish()
        case "reload": try await socket.reload()
        case "stop": try await socket.stop()
        case "log-level": try await socket.logLevel()
        default: throw Failure(.usage, "unknown command \"\(command.name)\"")
        }
    }
}

/// Standard output and standard error.
enum Output {
    static func line(_ text: String) { write(text + "\n") }

    /// Writes everything. A reader that has gone ends the program, as with other filters.
    static func write(_ text: String) { write(Array(text.utf8)) }

    static func write(_ bytes: [UInt8]) { write(bytes, to: 1) }

    static func error(_ text: String) { write(Array((text + "\n").utf8), to: 2) }

    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&entry, 1, -1)
                continue
            }
            if count <= 0 { exit(Failure.Kind.failed.rawValue) }
            rest = rest.dropFirst(count)
        }
    }

    /// All of standard input, up to `limit` bytes; `nil`: there is more, or it cannot be read.
    static func input(limit: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(0, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return count < 0 ? nil : bytes }
            bytes += buffer[..<count]
        }
        return nil
    }
}
