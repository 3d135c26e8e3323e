/// A command of the tool: what the help, the completion of shells and the manual page are made from.
struct Command: Sendable {
    /// An argument without a name.
    struct Operand: Sendable {
        let name: String
        let help: String
        var isRequired = true
        /// The values that it may have; empty: others.
        var choices: [String] = []
    }

    /// "--name", or "--name VALUE".
    struct Option: Sendable {
        let name: String
        /// The name of its value in the help; `nil`: it has none.
        var value: String?
        let help: String
        /// The values that it may have; empty: others.
        var choices: [String] = []
    }

    let name: String
    /// One line without a full stop.
    let summary: String
    /// Further paragraphs of the help.
    var details: [String] = []
    var operands: [Operand] = []
    var options: [Option] = []
    /// Whether it uses the control socket of a server.
    var usesSocket = true
    /// Whether it can print the answer of the server as JSON.
    var printsJSON = true

    /// Its own options, and those that it shares with others.
    var allOptions: [Option] {
        options + (usesSocket ? [Command.socketOption] : []) + (usesSocket && printsJSON ? [Command.jsonOption] : [])
            + [Command.helpOption]
    }

    static let socketVariable = "SWIFTSERVER_SOCKET"
    static let helpOption = Option(name: "help", help: "Show this help and exit")
    private static let socketOption = Option(
        name: "socket", value: "PATH", help: "The control socket of the server (default: $\(socketVariable))")
    private static let jsonOption = Option(name: "json", help: "Print the answer of the server as JSON")
}

extension Command {
    static let levels = ["debug", "notice", "warning", "error", "none"]
    private static let wait = Option(
        name: "wait", value: "SECONDS", help: "Wait until it has happened, for at most this time")

    static func named(_ name: String) -> Command? { all.first { $0.name == name } }

    /// All commands, in the order of the help.
    static let all = [
        Command(name: "status", summary: "Show the state of the server and its processes"),
        Command(
            name: "top", summary: "Show the state of the server in the terminal, again and again",
            details: ["q ends it, p pauses it."],
            options: [Option(name: "interval", value: "SECONDS", help: "The time between two states (default: 1)")],
            printsJSON: false),
        Command(
            name: "connections", summary: "List connections, and close them",
            details: ["Filters are combined: a connection is listed if it fits all of them."],
            options: [
                Option(name: "port", value: "N", help: "Connections of the server's port N"),
                Option(
                    name: "state", value: "STATE", help: "Connections in this state",
                    choices: ["http", "websocket", "stream", "closing"]),
                Option(name: "worker", value: "N", help: "Connections that worker N handles"),
                Option(name: "user", value: "ID", help: "Connections with this user id"),
                Option(name: "address", value: "IP", help: "Connections of this remote address"),
                Option(name: "idle", value: "SECONDS", help: "Connections that have sent nothing for this time"),
                Option(name: "queued", value: "BYTES", help: "Connections with at least this much pending output"),
                Option(name: "limit", value: "N", help: "List at most N connections (default: 100; with --close: all)"),
                Option(name: "close", help: "Close the connections instead of listing them"),
                Option(name: "all", help: "With --close and without filters: close all connections"),
                Option(name: "code", value: "CODE", help: "The close code for WebSockets (default: 1000)"),
                Option(name: "reason", value: "TEXT", help: "The reason in the close frame"),
            ]),
        Command(
            name: "topics", summary: "Show the topics with the most subscribers",
            operands: [Operand(name: "FILTER", help: "Text that their names contain; none: all", isRequired: false)],
            options: [Option(name: "limit", value: "N", help: "Show at most N topics, 1 to 200 (default: 100)")]),
        Command(
            name: "publish", summary: "Publish a text message to a topic, or to all WebSockets",
            operands: [
                Operand(name: "TOPIC", help: "The topic; none with --all"),
                Operand(name: "TEXT", help: "The message; \"-\" reads it from standard input"),
            ],
            options: [Option(name: "all", help: "Send the message to all open WebSockets; the only operand is TEXT")]),
        Command(
            name: "reload", summary: "Replace the workers, one after the other",
            options: [Option(name: "only-task-workers", help: "Replace only the task workers"), wait]),
        Command(name: "stop", summary: "Stop the server in order", options: [wait]),
        Command(
            name: "log-level", summary: "Change what the server logs, until its end",
            operands: [Operand(name: "LEVEL", help: levels.joined(separator: ", "), choices: levels)]),
        Command(
            name: "ws", summary: "Connect lines of standard input and output to a WebSocket",
            details: [
                """
                In a terminal each line is a text message, and received frames are shown. A line that begins with a \
                slash is a command: \(WebSocketLine.commands), which sends /TEXT as a message.
                """,
                """
                Without a terminal lines are sent and received messages are written as they are. At the end of the \
                input the WebSocket is closed after --linger.
                """,
            ],
            operands: [Operand(name: "URL", help: "For example ws://127.0.0.1:9501/chat")],
            options: [
                Option(name: "header", value: "FIELD", help: "A field of the handshake, \"NAME: VALUE\""),
                Option(name: "subprotocol", value: "NAME", help: "The subprotocol to offer"),
                Option(name: "origin", value: "ORIGIN", help: "The field Origin, as a browser sends it"),
                Option(name: "count", value: "N", help: "Close after N received messages"),
                Option(name: "linger", value: "SECONDS", help: "Time for answers after the input (default: 1)"),
            ], usesSocket: false),
        Command(
            name: "bench", summary: "Measure how fast a server answers",
            details: [
                """
                Each connection sends, waits for the answer, and sends again: text messages, which a ws: or wss: \
                server must echo, or GET requests to an http: or https: URL. This program runs on one thread for all \
                connections, so a fast server is not at its limit.
                """
            ],
            operands: [Operand(name: "URL", help: "ws:, wss:, http: or https:")],
            options: [
                Option(name: "connections", value: "N", help: "Connections at once, 1 to 1000 (default: 10)"),
                Option(name: "duration", value: "SECONDS", help: "The time of the measurement (default: 10)"),
                Option(name: "size", value: "BYTES", help: "The size of WebSocket messages (default: 32)"),
                Option(name: "json", help: "Print the result as JSON, times in seconds"),
            ], usesSocket: false),
        Command(
            name: "serve", summary: "Serve the files of a folder by HTTP",
            operands: [Operand(name: "DIR", help: "The folder (default: the current one)", isRequired: false)],
            options: [
                Option(name: "host", value: "ADDRESS", help: "The address to listen on (default: 127.0.0.1)"),
                Option(name: "port", value: "N", help: "The port, 0 for any (default: 8000)"),
                Option(name: "list", help: "List folders that have no index.html"),
                Option(name: "dot-files", help: "Also serve files whose names begin with a dot"),
                Option(name: "socket", value: "PATH", help: "Have a control socket there"),
            ], usesSocket: false),
        Command(
            name: "completion", summary: "Print a script that completes commands in a shell",
            details: [
                "bash: source <(swiftserver completion bash). zsh: the same, after compinit.",
                "fish: swiftserver completion fish > ~/.config/fish/completions/swiftserver.fish.",
            ],
            operands: [Operand(name: "SHELL", help: "bash, zsh, fish", choices: ["bash", "zsh", "fish"])],
            usesSocket: false),
        Command(name: "manual", summary: "Print the manual page, for man", usesSocket: false),
    ]
}
