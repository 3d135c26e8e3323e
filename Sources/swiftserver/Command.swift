/// A command of the tool: what the help, the completion of shells and the manual page are made from.
struct Command: Sendable {
    /// An argument without a name.
    struct Operand: Sendable {
        let name: String
        let help: String
        var isRequired = true
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

    /// Its own options, and those that it shares with others.
    var allOptions: [Option] { options + (usesSocket ? Command.socketOptions : []) + [Command.helpOption] }

    static let socketVariable = "SWIFTSERVER_SOCKET"
    static let helpOption = Option(name: "help", help: "Show this help and exit")
    private static let socketOptions = [
        Option(name: "socket", value: "PATH", help: "The control socket of the server (default: $\(socketVariable))"),
        Option(name: "json", help: "Print the answer of the server as JSON"),
    ]
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
        Command(name: "topics", summary: "Show the numbers of topics and subscriptions"),
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
            operands: [Operand(name: "LEVEL", help: levels.joined(separator: ", "))]),
    ]
}
