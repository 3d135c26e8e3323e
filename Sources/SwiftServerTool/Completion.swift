/// Scripts that complete commands, options and values in shells.
enum Completion {
    static func script(_ shell: String) -> String {
        switch shell {
        case "fish": fish
        // zsh runs functions of bash.
        case "zsh": "autoload -U +X bashcompinit && bashcompinit\n" + bash
        default: bash
        }
    }

    private static let bash: String = {
        let commands = Command.all.map { command in
            let options = command.allOptions.map { "--\($0.name)" }.joined(separator: " ")
            let values = command.operands.flatMap(\.choices).joined(separator: " ")
            return "        \(command.name)) words='\(values.isEmpty ? options : "\(values) \(options)")' ;;\n"
        }
        let choices = Command.all.flatMap { command in
            command.options.filter { !$0.choices.isEmpty }.map { option in
                "        \(command.name):--\(option.name)) words='\(option.choices.joined(separator: " "))' ;;\n"
            }
        }
        return """
            _swiftserver() {
                local words='' word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W '\(Command.all.map(\.name).joined(separator: " ")) --help --version' -- "$word"))
                    return
                fi
                case ${COMP_WORDS[1]}:$before in
            \(choices.joined())        *:--socket) COMPREPLY=($(compgen -f -- "$word")); return ;;
                esac
                if [ -z "$words" ]; then
                    case ${COMP_WORDS[1]} in
            \(commands.joined())        esac
                fi
                COMPREPLY=($(compgen -W "$words" -- "$word"))
                if [ "${COMP_WORDS[1]}" = serve ] && [ "${word#-}" = "$word" ]; then
                    COMPREPLY+=($(compgen -d -- "$word"))
                fi
            }
            complete -F _swiftserver swiftserver

            """
    }()

    private static let fish: String = {
        func quoted(_ text: String) -> String {
            "'" + text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "'"
        }
        var lines = ["complete -c swiftserver -f"]
        for command in Command.all {
            lines.append(
                "complete -c swiftserver -n __fish_use_subcommand -a \(command.name) -d \(quoted(command.summary))")
            let here = "complete -c swiftserver -n '__fish_seen_subcommand_from \(command.name)'"
            for option in command.allOptions {
                var line = "\(here) -l \(option.name) -d \(quoted(option.help))"
                if option.value != nil { line += option.value == "PATH" ? " -r -F" : " -x" }
                if !option.choices.isEmpty { line += " -a \(quoted(option.choices.joined(separator: " ")))" }
                lines.append(line)
            }
            let values = command.operands.flatMap(\.choices)
            if !values.isEmpty { lines.append("\(here) -a \(quoted(values.joined(separator: " ")))") }
            if command.name == "serve" { lines.append("\(here) -a '(__fish_complete_directories)'") }
        }
        return lines.joined(separator: "\n") + "\n"
    }()
}
