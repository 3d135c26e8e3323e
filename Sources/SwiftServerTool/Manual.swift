/// The manual page.
enum Manual {
    static func text(version: String) -> String {
        var lines = [
            ".TH SWIFTSERVER 1 \"\" \"swiftserver \(escaped(version))\"", ".SH NAME",
            "swiftserver \\- watch and steer a running server, and try out others", ".SH SYNOPSIS",
            ".B swiftserver", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR]", ".SH COMMANDS",
        ]
        for command in Command.all {
            lines += [".SS \"\(escaped(String(Help.usage(command).dropFirst("swiftserver ".count))))\""]
            lines += ["\(escaped(command.summary))."]
            for paragraph in command.details { lines += [".PP", escaped(paragraph)] }
            for operand in command.operands { lines += [".TP", ".I \(operand.name)", escaped(operand.help)] }
            for option in command.options {
                let value = option.value.map { " \\fI\($0)\\fR" } ?? ""
                lines += [".TP", "\\fB\\-\\-\(escaped(option.name))\\fR\(value)", escaped(option.help)]
            }
        }
        lines += [
            ".SH COMMON OPTIONS", "Commands that use the control socket have these options, all have the last one.",
        ]
        for option in Command(name: "", summary: "").allOptions {
            let value = option.value.map { " \\fI\($0)\\fR" } ?? ""
            lines += [".TP", "\\fB\\-\\-\(escaped(option.name))\\fR\(value)", escaped(option.help)]
        }
        lines += [
            ".SH EXIT STATUS", ".TP", ".B 0", "success", ".TP", ".B 1",
            "the command failed; standard error has the cause",
            ".TP", ".B 2", "invalid arguments", ".TP", ".B 3", "no server listens at the control socket",
            ".SH ENVIRONMENT", ".TP", ".B \(Command.socketVariable)", "the control socket, without \\-\\-socket",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// A line that begins with a dot or an apostrophe would be a request.
    private static func escaped(_ text: String) -> String {
        let text = text.map { character in
            switch character {
            case "\\": "\\e"
            case "-": "\\-"
            case "\"": "\\(dq"
            default: "\(character)"
            }
        }.joined()
        return text.hasPrefix(".") || text.hasPrefix("'") ? "\\&" + text : text
    }
}
