import SwiftServer

/// The texts of `--help`.
enum Help {
    /// "swiftserver publish [OPTIONS] TOPIC TEXT".
    static func usage(_ command: Command) -> String {
        let operands = command.operands.map { $0.isRequired ? $0.name : "[\($0.name)]" }
        return (["swiftserver", command.name, "[OPTIONS]"] + operands).joined(separator: " ")
    }

    static func text(_ command: Command) -> String {
        var text = "\(command.summary).\n\nusage: \(usage(command))\n"
        for paragraph in command.details { text += "\n" + Text.wrapped(paragraph, width: 80) + "\n" }
        text += list("", command.operands.map { ($0.name, $0.help) })
        return text
            + list("options:", command.allOptions.map { ("--\($0.name)\($0.value.map { " \($0)" } ?? "")", $0.help) })
    }

    /// The help of the tool.
    static var text: String {
        """
        Watch and steer a running server, and try out others.

        usage: swiftserver COMMAND [OPTIONS]

        """ + list("commands:", Command.all.map { ($0.name, $0.summary) })
            + """

            "swiftserver COMMAND --help" describes a command, "swiftserver --version" shows the version.
            A server has a control socket when its program sets settings.controlSocket.
            Exit codes: 0 success, 1 failure, 2 invalid arguments, 3 no server at the socket.

            """
    }

    private static func list(_ title: String, _ entries: [(name: String, help: String)]) -> String {
        if entries.isEmpty { return "" }
        let width = entries.map(\.name.count).max() ?? 0
        let lines = entries.map { "  \(Text.padded($0.name, width))  \($0.help)\n" }
        return "\n" + (title.isEmpty ? "" : title + "\n") + lines.joined()
    }
}
