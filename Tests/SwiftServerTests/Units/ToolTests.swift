import Testing

@testable import SwiftServerTool

/// The parts of the program `swiftserver` that need no server.
@Suite struct ToolTests {
    private func parse(_ command: String, _ arguments: String...) throws -> Arguments {
        try Arguments(arguments, for: try #require(Command.named(command)))
    }

    @Test func optionsMayBeAnywhere() throws {
        let arguments = try parse("publish", "--socket", "/run/x", "news", "--json", "--", "--text")
        #expect(arguments.operands == ["news", "--text"])
        #expect(arguments["socket"] == "/run/x" && arguments.has("json") && !arguments.has("all"))
        #expect(try parse("connections", "--reason=a=b")["reason"] == "a=b")
        #expect(try parse("publish", "--all", "-5").operands == ["-5"])
        #expect(try parse("publish", "news", "-").operands == ["news", "-"])
        #expect(try parse("publish", "--help").has("help"))
        #expect(try parse("status", "-h").has("help"))
    }

    @Test func mistakesAreNamed() throws {
        let cases: [(String, [String], String)] = [
            ("status", ["--sockets"], "unknown option --sockets"), ("status", ["-x"], "unknown option -x"),
            ("status", ["more"], "unexpected argument \"more\""), ("status", ["--socket"], "--socket needs PATH"),
            ("status", ["--json=1"], "--json has no value"), ("status", ["--json", "--json"], "--json is given twice"),
            ("top", ["--json"], "unknown option --json"),
            ("log-level", ["loud"], "LEVEL must be one of debug, notice, warning, error, none, got \"loud\""),
            ("publish", ["news"], "TEXT is missing"), ("publish", ["--all"], "TEXT is missing"),
            ("publish", ["--all", "a", "b"], "unexpected argument \"b\""),
            (
                "connections", ["--state", "odd"],
                "--state must be one of http, websocket, stream, closing, got \"odd\""
            ),
        ]
        for (name, texts, message) in cases {
            let command = try #require(Command.named(name))
            let mistake = #expect(throws: Arguments.Mistake.self) { try Arguments(texts, for: command) }
            #expect(mistake?.message == message)
        }
        let arguments = try parse("connections", "--limit", "0", "--idle", "x")
        #expect(throws: Arguments.Mistake(message: "--limit must be 1 to 10, got \"0\"")) {
            try arguments.number("limit", 1...10)
        }
        #expect(throws: Arguments.Mistake(message: "--idle must be 0 to 1.5 seconds, got \"x\"")) {
            try arguments.seconds("idle", 0...1.5)
        }
    }

    @Test func theHelpHasEveryCommandAndOption() {
        for command in Command.all {
            #expect(Help.text.contains("  \(command.name) "))
            let text = Help.text(command)
            #expect(text.contains("usage: swiftserver \(command.name) "))
            for option in command.allOptions { #expect(text.contains("  --\(option.name) ")) }
            #expect(!command.summary.hasSuffix(".") && !command.allOptions.contains { $0.help.hasSuffix(".") })
        }
    }

    @Test func tablesAlignTheirColumns() {
        var table = Table([("NAME", .left), ("COUNT", .right), ("NOTE", .left)])
        table.rows = [["a", "1", ""], ["long name", "1000000", "x"]]
        #expect(table.lines == ["NAME         COUNT  NOTE", "a                1", "long name  1000000  x"])
        #expect(Text.cut("abcdef", 4) == "abc…" && Text.cut("abc", 3) == "abc" && Text.cut("abc", 0) == "")
        #expect(Text.visible("a\u{1b}[31m\u{202e}é") == "a\\u{1b}[31m\\u{202e}é")
        #expect(Text.wrapped("one two three", width: 7) == "one two\nthree")
    }

    @Test func amountsHaveUnits() {
        #expect([0, 1023, 1536, 150_000].map { Amount.bytes($0) } == ["0 B", "1023 B", "1.5 KiB", "146 KiB"])
        #expect([0, 999, 12_345, 4_100_000].map { Amount.count($0) } == ["0", "999", "12.3k", "4.1M"])
        let times = [0.00025, 0.25, 3.2, 303, 7800, 273_600].map { Amount.time($0) }
        #expect(times == ["250 µs", "250 ms", "3.2 s", "5 min 3 s", "2 h 10 min", "3 d 4 h"])
    }
}
