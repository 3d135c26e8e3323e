import SwiftServer

/// A line that someone types in `ws`.
enum WebSocketLine: Equatable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case close(UInt16, String)
    case help
    case mistake(String)

    static let commands = "/ping [TEXT], /binary HEX, /close [CODE [REASON]], /help, //TEXT"
    static let allCommands = commands + "\n//TEXT sends /TEXT as a message"

    init(_ line: String) {
        guard line.hasPrefix("/"), !line.hasPrefix("//") else {
            self = .text(line.hasPrefix("//") ? String(line.dropFirst()) : line)
            return
        }
        let parts = line.split(separator: " ", maxSplits: 1)
        let rest = parts.count > 1 ? String(parts[1]) : ""
        switch parts[0] {
        case "/ping":
            self = rest.utf8.count > 125 ? .mistake("a ping has at most 125 bytes") : .ping(Array(rest.utf8))
        case "/binary":
            self =
                WebSocketLine.bytes(rest).map { .binary($0) } ?? .mistake("/binary needs pairs of hexadecimal digits")
        case "/close":
            let words = rest.split(separator: " ", maxSplits: 1)
            let code = words.isEmpty ? 1000 : UInt16(words[0])
            self = code.map { .close($0, words.count > 1 ? String(words[1]) : "") } ?? .mistake("/close needs a number")
        case "/help": self = .help
        default: self = .mistake("unknown command \(parts[0]) (see /help)")
        }
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.filter { $0 != " " }.map { $0.isASCII ? $0.hexDigitValue : nil }
        guard digits.count.isMultiple(of: 2), !digits.isEmpty, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0]! * 16 + digits[$0 + 1]!) }
    }

    /// A received frame for people: "< text hello", "< binary 3 bytes 01 02 ff".
    static func shown(_ frame: Frame) -> String {
        let mostShown = 64
        guard frame.opcode != .text else { return "< \(Text.visible(frame.text))" }
        let digits = frame.bytes.prefix(mostShown).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        let more = frame.bytes.count > mostShown ? " …" : ""
        return "< \(frame.opcode) \(frame.bytes.count) bytes \(digits.joined(separator: " "))\(more)"
    }
}
