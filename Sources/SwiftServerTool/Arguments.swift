/// The arguments of a command, read by its ``Command``.
struct Arguments: Sendable, Equatable {
    private(set) var operands: [String] = []
    private(set) var values: [String: String] = [:]
    private(set) var flags: Set<String> = []

    /// A mistake in the arguments.
    struct Mistake: Error, Equatable {
        let message: String
    }

    /// Options may be anywhere before "--", and be written "--name VALUE" or "--name=VALUE".
    init(_ arguments: [String], for command: Command) throws(Mistake) {
        var rest = arguments[...]
        var hasOptions = true
        while let argument = rest.popFirst() {
            if hasOptions, argument == "--" {
                hasOptions = false
            } else if hasOptions, argument.hasPrefix("--") {
                try read(argument.dropFirst(2), &rest, command)
            } else if hasOptions, argument == "-h" {
                flags.insert("help")
            } else if hasOptions, argument.hasPrefix("-"), argument != "-", Double(argument) == nil {
                throw Mistake(message: "unknown option \(argument)")
            } else {
                operands.append(argument)
            }
        }
        if flags.contains("help") { return }
        try checkCount(command)
    }

    private mutating func read(
        _ argument: Substring, _ rest: inout ArraySlice<String>, _ command: Command
    ) throws(Mistake) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let option = command.allOptions.first(where: { $0.name == name }) else {
            throw Mistake(message: "unknown option --\(name)")
        }
        guard values[name] == nil, !flags.contains(name) else { throw Mistake(message: "--\(name) is given twice") }
        guard let placeholder = option.value else {
            guard parts.count == 1 else { throw Mistake(message: "--\(name) has no value") }
            flags.insert(name)
            return
        }
        guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
            throw Mistake(message: "--\(name) needs \(placeholder)")
        }
        if !option.choices.isEmpty, !option.choices.contains(value) {
            throw Mistake(
                message: "--\(name) must be one of \(option.choices.joined(separator: ", ")), got \"\(value)\"")
        }
        values[name] = value
    }

    private func checkCount(_ command: Command) throws(Mistake) {
        // "publish --all TEXT" has no topic.
        let expected = command.name == "publish" && has("all") ? Array(command.operands.dropFirst()) : command.operands
        if operands.count > expected.count {
            throw Mistake(message: "unexpected argument \"\(operands[expected.count])\"")
        }
        let missing = expected.dropFirst(operands.count).first { $0.isRequired }
        if let missing { throw Mistake(message: "\(missing.name) is missing") }
        for (operand, value) in zip(expected, operands) where !operand.choices.isEmpty {
            guard !operand.choices.contains(value) else { continue }
            let choices = operand.choices.joined(separator: ", ")
            throw Mistake(message: "\(operand.name) must be one of \(choices), got \"\(value)\"")
        }
    }

    // MARK: Values

    func has(_ flag: String) -> Bool { flags.contains(flag) }

    subscript(_ name: String) -> String? { values[name] }

    func number(_ name: String, _ range: ClosedRange<Int>) throws(Mistake) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw Mistake(message: "--\(name) must be \(range.lowerBound) to \(range.upperBound), got \"\(text)\"")
        }
        return number
    }

    func seconds(_ name: String, _ range: ClosedRange<Double>) throws(Mistake) -> Double? {
        guard let text = values[name] else { return nil }
        guard let number = Double(text), range.contains(number) else {
            let (least, most) = (Amount.short(range.lowerBound), Amount.short(range.upperBound))
            throw Mistake(message: "--\(name) must be \(least) to \(most) seconds, got \"\(text)\"")
        }
        return number
    }
}
