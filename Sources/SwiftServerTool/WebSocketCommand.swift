import Glibc
import SwiftServer

/// `ws`: connects lines of standard input and output to a WebSocket.
struct WebSocketCommand {
    private let url: String
    private let arguments: Arguments
    private let isTerminal = Terminal.isPresent
    private let count: Int?
    private let linger: Duration

    init(_ arguments: Arguments) throws {
        self.arguments = arguments
        url = arguments.operands[0]
        count = try arguments.number("count", 1...1_000_000_000)
        if arguments["linger"] != nil, count != nil || isTerminal {
            throw Arguments.Mistake(message: "--linger needs input that is no terminal, and no --count")
        }
        linger = .seconds(try arguments.seconds("linger", 0...3600) ?? 1)
    }

    func run() async throws {
        let client: WebSocketClient
        do {
            client = try await connect()
        } catch let error as ClientError {
            throw Failure(error.code == .invalidArgument ? .usage : .failed, Text.visible(error.message))
        }
        if isTerminal {
            let subprotocol = await client.subprotocol.map { ", subprotocol \(Text.visible($0))" } ?? ""
            let isCompressed = await client.isCompressed
            Output.error("connected to \(url)\(subprotocol)\(isCompressed ? ", compressed" : "")")
            Output.error("a line is a text message; /help lists commands")
        }
        // It blocks a thread while it waits for a line, and ends with the program.
        let input = Task.detached { await send(client) }
        var received = 0
        do {
            while let frame = try await client.recv() {
                show(frame)
                received += 1
                if received == count { try await client.close() }
            }
        } catch let error as ClientError {
            input.cancel()
            throw Failure(.failed, Text.visible(error.message))
        }
        input.cancel()
        let reason = await client.closeReason
        guard let reason, reason.isByServer, ![1000, 1001, 1005].contains(reason.code) else {
            if isTerminal { Output.error(reason.map { Text.visible($0.description) } ?? "closed") }
            return
        }
        throw Failure(.failed, Text.visible(reason.description))
    }

    private func connect() async throws -> WebSocketClient {
        var fields: [(name: String, value: String)] = []
        if let header = arguments["header"] {
            let parts = header.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { throw Arguments.Mistake(message: "--header must be \"NAME: VALUE\"") }
            fields.append((String(parts[0]), String(parts[1].drop { $0 == " " })))
        }
        return try await WebSocketClient.connect(url) {
            $0.fields = fields
            $0.subprotocols = arguments["subprotocol"].map { [$0] } ?? []
            $0.origin = arguments["origin"]
            $0.maxMessage = 64 << 20
            if isTerminal {
                $0.onPong = { Output.line("< pong \(Text.visible(String(decoding: $0, as: UTF8.self)))") }
            }
        }
    }

    private func show(_ frame: Frame) {
        if isTerminal { return Output.line(WebSocketLine.shown(frame)) }
        if frame.opcode == .text { Output.line(frame.text) } else { Output.write(frame.bytes) }
    }

    // MARK: Input

    /// Sends what is read, until its end. Then answers may still arrive for a while.
    private func send(_ client: WebSocketClient) async {
        var lines = InputLines()
        do {
            while let line = lines.next() {
                if try await !send(line, client) { return }
            }
            if let problem = lines.problem { Output.error("swiftserver: \(problem)") }
            if count == nil, !isTerminal { try await Task.sleep(for: linger) }
            if count == nil || isTerminal { try await client.close() }
        } catch let error as ClientError {
            Output.error("swiftserver: \(error.message)")
        } catch {}  // cancelled
    }

    /// Returns false when the client was closed.
    private func send(_ line: String, _ client: WebSocketClient) async throws -> Bool {
        switch isTerminal ? WebSocketLine(line) : .text(line) {
        case .text(let text): try await client.push(text)
        case .binary(let bytes): try await client.push(bytes)
        case .ping(let bytes): try await client.ping(bytes)
        case .help: Output.error(WebSocketLine.allCommands)
        case .mistake(let message): Output.error(message)
        case .close(let code, let reason):
            do {
                try await client.close(code: code, reason: reason)
            } catch let error as ClientError where error.code == .invalidArgument {
                Output.error(error.message)
                return true
            }
            return false
        }
        return true
    }
}

/// The lines of standard input, which are UTF-8 of at most 1 MiB.
struct InputLines {
    private var buffer: [UInt8] = []
    private var isOver = false
    /// Why the lines have ended before the input.
    private(set) var problem: String?
    private static let longest = 1 << 20

    /// The next line, without its end; `nil`: there is none. It blocks.
    mutating func next() -> String? {
        var searched = 0
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return text(buffer[..<end])
            }
            searched = buffer.count
            if isOver {
                defer { buffer = [] }
                return buffer.isEmpty ? nil : text(buffer[...])
            }
            guard buffer.count <= InputLines.longest else { return stop("a line of the input is longer than 1 MiB") }
            fill()
        }
    }

    private mutating func text(_ line: ArraySlice<UInt8>) -> String? {
        String(validating: line, as: UTF8.self) ?? stop("a line of the input is not UTF-8")
    }

    private mutating func stop(_ problem: String) -> String? {
        self.problem = problem
        (buffer, isOver) = ([], true)
        return nil
    }

    private mutating func fill() {
        var piece = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe piece.withUnsafeMutableBytes { unsafe read(0, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { return }
        if count > 0 { buffer += piece[..<count] } else { isOver = true }
    }
}
