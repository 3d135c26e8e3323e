/// The format of the lines of a server's log.
public enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// Time, process, level, message and fields as text, for people: `... notice: joined room=main`.
    case text
    /// A JSON object on each line, with `time`, `pid`, `process`, `level`, `message` and, if there are any, `fields`.
    case json
}

/// A name and a value that belong to a line of the log.
package struct LogField: Sendable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Text of an application in a line of the log.
package enum LogText {
    /// Message and fields in the text format: "joined room=main".
    static func line(_ message: String, _ fields: [LogField]) -> String {
        fields.reduce(into: escaped(message)) { $0 += " \(escaped($1.name))=\(word($1.value))" }
    }

    /// A value, in quotes when it has characters that could end it.
    private static func word(_ value: String) -> String {
        func isSpecial(_ scalar: Unicode.Scalar) -> Bool {
            scalar == " " || scalar == "\"" || scalar == "=" || scalar == "\\"
        }
        guard value.isEmpty || value.unicodeScalars.contains(where: isSpecial) else { return escaped(value) }
        var result = "\""
        for scalar in value.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            result += escaped(String(scalar))
        }
        return result + "\""
    }

    /// The text without control characters, which could forge lines or control a terminal.
    private static func escaped(_ text: String) -> String {
        func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 32 || (127..<160).contains(scalar.value) }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                result += scalar.escaped(asASCII: true)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Text in JSON.
enum JSONString {
    /// A string literal.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
