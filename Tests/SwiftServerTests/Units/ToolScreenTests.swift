import Foundation
import Glibc
import Testing

@testable import SwiftServer
@testable import SwiftServerTool

/// What the program `swiftserver` draws, measures and generates.
@Suite struct ToolScreenTests {
    private func status(messages: Int, workers: Int = 2) throws -> Status {
        let processes = (0..<workers).map { id in
            """
            {"name":"worker \(id)","role":"worker","pid":\(100 + id),"status":"busy","handler":"onMessage",\
            "connection":"7","runningSeconds":2,"calls":\(messages),"starts":1,"failures":0,"tasksWaiting":0,\
            "messagesReceived":0,"messagesSent":0,"requests":0,"bytesReceived":0,"bytesSent":0,"queuedBytes":0,\
            "longestTurnSeconds":0.001}
            """
        }
        let text = """
            {"version":"1","mode":"process","pid":99,"uptime":61,"ready":true,"obstacles":[],"stopping":false,\
            "reloading":false,"reloads":{"begun":0,"completed":0,"aborted":0},"logLevel":"notice",\
            "maxConnections":1000,"memoryBudget":1,"ports":[],"processes":[\(processes.joined(separator: ","))],\
            "statistics":{"messagesReceived":\(messages),"connections":12}}
            """
        return try JSONDecoder().decode(Status.self, from: Data(text.utf8))
    }

    @Test func theScreenFitsTheTerminal() throws {
        let before = TopScreen.Sample(
            status: try status(messages: 1000, workers: 40), time: 10,
            use: [100: ProcessUse(time: 1, memory: 1_048_576)])
        let now = TopScreen.Sample(
            status: try status(messages: 5000, workers: 40), time: 12,
            use: [100: ProcessUse(time: 2, memory: 1_048_576)])
        for (width, height) in [(80, 24), (20, 5), (1, 1), (200, 60), (80, 2)] {
            let lines = TopScreen(width: width, height: height).lines(now, before: before, history: [1, 2, 3])
            #expect(lines.count == height && lines.allSatisfy { $0.count <= width }, "\(width)x\(height)")
        }
        let lines = TopScreen(width: 80, height: 24).lines(now, before: before, history: [0, 1, 2])
        #expect(lines[0].hasPrefix("pid 99  process mode  up 1 min 1 s  log notice  ready"))
        #expect(lines[1].contains("connections 12 of 1000") && lines[2].contains("messages 2k/s in"))
        #expect(lines[3].hasSuffix("▁▅█"))
        let found = lines.first { $0.hasPrefix("worker 0") }
        let worker = try #require(found)
        #expect(worker.contains("100    50   1 MiB  busy") && worker.contains("onMessage"))
        #expect(lines.contains { $0.contains("more processes") } && lines.last == "q quit   p pause")
        // The first screen has no rates yet, and another server's counters are no negative rates.
        #expect(TopScreen(width: 80, height: 24).lines(now, before: nil)[2].contains("messages -/s in"))
        #expect(TopScreen(width: 80, height: 24).lines(before, before: now)[2].contains("messages -/s in"))
    }

    @Test func theUseOfAProcessIsRead() throws {
        let numbers = (4...30).map { "\($0)" }.joined(separator: " ")
        let line = try #require(ProcessLine("12 (a (b) c) S \(numbers)"))
        #expect(ProcessUse(line, ticks: 10, page: 4096) == ProcessUse(time: 2.9, memory: 24 * 4096))
        let short = try #require(ProcessLine("12 (a) S 1 2"))
        #expect(ProcessUse(short, ticks: 10, page: 4096) == nil && ProcessLine("12 a S 1 2") == nil)
        #expect(ProcessUse(pid: getpid()).map { $0.memory > 0 } == true && ProcessUse(pid: 0) == nil)
    }

    @Test func aStoppedProcessIsSeen() throws {
        let states = ["S", "R", "D", "Z", "T", "t"].map { ProcessLine("12 (T T) \($0) 1 2")?.isStopped }
        #expect(states == [false, false, false, false, true, false])
    }

    @Test func latenciesHaveQuantiles() {
        var all = Latencies()
        #expect(all.quantile(0.5) == 0 && all.mean == 0 && all.bars(width: 10).isEmpty)
        for number in 1...1000 { all.add(Double(number) / 1e6) }
        for (share, exact) in [(0.5, 500e-6), (0.9, 900e-6), (0.99, 990e-6), (1, 1000e-6)] {
            let value = all.quantile(share)
            #expect(value >= exact && value <= exact * 1.125, "\(share): \(value)")
        }
        #expect(all.least == 1e-6 && all.most == 1e-3 && abs(all.mean - 500.5e-6) < 1e-9)
        var other = Latencies()
        for seconds in [0, 1e-9, 1e9] { other.add(seconds) }
        #expect(other.quantile(1) == 1e9 && other.quantile(0.1) >= 0)
        all.merge(other)
        #expect(all.count == 1003 && all.most == 1e9)
        let bars = all.bars(width: 10)
        #expect(bars.count <= 40 && bars.contains { $0.hasSuffix(String(repeating: "█", count: 10)) })
    }

    @Test func typedLinesAreMessagesAndCommands() {
        #expect(WebSocketLine("hello") == .text("hello") && WebSocketLine("") == .text(""))
        #expect(WebSocketLine("//x") == .text("/x"))
        #expect(WebSocketLine("/ping a b") == .ping(Array("a b".utf8)) && WebSocketLine("/ping") == .ping([]))
        #expect(WebSocketLine("/binary 01 fF") == .binary([1, 255]) && WebSocketLine("/help") == .help)
        #expect(WebSocketLine("/close") == .close(1000, "") && WebSocketLine("/close 4000 a b") == .close(4000, "a b"))
        for line in ["/binary", "/binary 0", "/binary zz", "/close x", "/close 70000", "/other", "/"] {
            guard case .mistake = WebSocketLine(line) else {
                Issue.record("\(line) is accepted")
                continue
            }
        }
        let id = ConnectionID(rawValue: 1)
        #expect(WebSocketLine.shown(Frame(fd: id, opcode: .text, bytes: [0x61, 0x1b])) == "< a\\u{1b}")
        #expect(WebSocketLine.shown(Frame(fd: id, opcode: .binary, bytes: [1, 255])) == "< binary 2 bytes 01 ff")
    }

    /// The shell reads the script without a mistake, and completes from the table of commands.
    @Test func bashCompletes() throws {
        func complete(_ words: String...) throws -> [String] {
            let list = words.map { "'\($0)'" }.joined(separator: " ")
            let script =
                Completion.script("bash")
                + "COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); _swiftserver; printf '%s\\n' \"${COMPREPLY[@]}\""
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            process.arguments = ["--norc", "-c", script]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return text.split(separator: "\n").map(String.init)
        }
        #expect(try complete("swiftserver", "sto") == ["stop"])
        #expect(try complete("swiftserver", "log-level", "w") == ["warning"])
        #expect(try complete("swiftserver", "connections", "--state", "we") == ["websocket"])
        #expect(try complete("swiftserver", "connections", "--qu") == ["--queued"])
        #expect(try complete("swiftserver", "connections", "--limit", "") == [])
        #expect(try complete("swiftserver", "no-command", "") == [])
        #expect(try complete("swiftserver", "serve", "/us") == ["/usr"])
        #expect(try complete("swiftserver", "serve", "--port", "/us") == [])
        for command in Command.all {
            #expect(try complete("swiftserver", command.name, "--") == command.allOptions.map { "--\($0.name)" })
        }
    }

    @Test func generatedTextsHaveEveryCommandAndOption() {
        let (fish, manual) = (Completion.script("fish"), Manual.text(version: "1"))
        let zsh = Completion.script("zsh")
        #expect(zsh.hasPrefix("#compdef swiftserver\n"))
        #expect(
            zsh.contains("        log-level) compadd -- debug notice warning error none --socket --json --help ;;\n"))
        #expect(zsh.contains("        connections:--state) compadd -- http websocket stream closing ;;\n"))
        #expect(zsh.contains("        connections:--limit) compadd --  ;;\n"))
        for command in Command.all {
            #expect(
                fish.contains(" -a \(command.name) ")
                    && manual.contains(".SS \"\(command.name.split(separator: "-")[0])"))
            for option in command.options {
                #expect(fish.contains("from \(command.name)' -l \(option.name) "))
                #expect(manual.contains("\\fB\\-\\-\(option.name.replacing("-", with: "\\-"))\\fR"))
            }
        }
        #expect(!manual.split(separator: "\n").contains { $0.hasPrefix("'") })
    }
}
