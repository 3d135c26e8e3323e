/// Scripts that complete commands, options and values in shells.
enum Completion {
    static func script(_ shell: String) -> String {
        switch shell {
        case "fish": fish
        case "zsh": zsh
        default: bash
        }
    }

    /// The words of each command, and of options with a value, as cases of a shell: `line` makes a case from a pattern
    /// and its words. Paths, which have none, are not among them.
    private static func cases(_ line: (_ pattern: String, _ words: String) -> String) -> (
        options: String, commands: String
    ) {
        let options = Command.all.flatMap { command in
            command.options.filter { $0.value != nil && $0.value != path }.map { option in
                line("\(command.name):--\(option.name)", option.choices.joined(separator: " "))
            }
        }
        let commands = Command.all.map { command in
            let words = command.operands.flatMap(\.choices) + command.allOptions.map { "--\($0.name)" }
            return line(command.name, words.joined(separator: " "))
        }
        return (options.joined(), commands.joined())
    }

    private static let path = "PATH"
    private static let first = "\(Command.all.map(\.name).joined(separator: " ")) --help --version"

    private static let bash: String = {
        let (choices, commands) = cases { "        \($0)) words='\($1)' ;;\n" }
        return """
            _swiftserver() {
                local words=none word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W '\(first)' -- "$word"))
                    return
                fi
                case ${COMP_WORDS[1]}:$before in
            \(choices)        *:--socket) COMPREPLY=($(compgen -f -- "$word")); return ;;
                esac
                if [ "$words" = none ]; then
                    words=''
                    case ${COMP_WORDS[1]} in
            \(commands)        esac
                    if [ "${COMP_WORDS[1]}" = serve ] && [ "${word#-}" = "$word" ]; then
                        COMPREPLY=($(compgen -d -- "$word"))
                        return
                    fi
                fi
                COMPREPLY=($(compgen -W "$words" -- "$word"))
            }
            complete -F _swiftserver swiftserver

            """
    }()

    /// Also for a folder in which zsh looks for functions (`fpath`): then the first call completes.
    private static let zsh: String = {
        let (choices, commands) = cases { "        \($0)) compadd -- \($1) ;;\n" }
        return """
            #compdef swiftserver
            _swiftserver() {
                if (( CURRENT == 2 )); then
                    compadd -- \(first)
                    return
                fi
                case ${words[2]}:${words[CURRENT-1]} in
            \(choices)        *:--socket) _files ;;
                    *)
                        case ${words[2]} in
            \(commands)            esac
                        if [[ ${words[2]} = serve && ${words[CURRENT]} != -* ]]; then _files -/; fi
                        ;;
                esac
            }
            if [[ ${funcstack[1]} = _swiftserver ]]; then _swiftserver "$@"; else compdef _swiftserver swiftserver; fi

            """
    }()

    private static let fish: String = {
        func quoted(_ text: String) -> String {
            "'" + text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "'"
        }
        let beforeCommand = "complete -c swiftserver -n __fish_use_subcommand"
        var lines = [
            "complete -c swiftserver -f", "\(beforeCommand) -l help -d \(quoted(Command.helpOption.help))",
            "\(beforeCommand) -l version -d 'Show the version and exit'",
        ]
        for command in Command.all {
            lines.append(
                "\(beforeCommand) -a \(command.name) -d \(quoted(command.summary))")
            let here = "complete -c swiftserver -n '__fish_seen_subcommand_from \(command.name)'"
            for option in command.allOptions {
                var line = "\(here) -l \(option.name) -d \(quoted(option.help))"
                if option.value != nil { line += option.value == path ? " -r -F" : " -x" }
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
