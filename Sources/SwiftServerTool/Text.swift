/// Text in columns.
enum Text {
    enum Alignment { case left, right }

    static func padded(_ text: String, _ width: Int, _ alignment: Alignment = .left) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return alignment == .left ? text + space : space + text
    }

    /// The text with an ellipsis for what does not fit.
    static func cut(_ text: String, _ width: Int) -> String {
        if text.count <= width { return text }
        return width <= 1 ? String(text.prefix(max(0, width))) : text.prefix(width - 1) + "…"
    }

    static func wrapped(_ text: String, width: Int) -> String {
        var lines = [""]
        for word in text.split(separator: " ") {
            if !lines[lines.count - 1].isEmpty, lines[lines.count - 1].count + 1 + word.count > width {
                lines.append("")
            }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        }
        return lines.joined(separator: "\n")
    }

    /// The text with control characters made visible: what a server reports must not control the terminal.
    static func visible(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0..<0x20, 0x7f..<0xa0, 0x200e...0x200f, 0x202a...0x202e, 0x2066...0x2069:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Rows of cells, each column as wide as its widest cell.
struct Table {
    typealias Column = (title: String, alignment: Text.Alignment)
    let columns: [Column]
    var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    /// The lines with a line of titles, without spaces at their ends.
    var lines: [String] {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.indices.map { Text.padded(row[$0], widths[$0], columns[$0].alignment) }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

/// Numbers with units.
enum Amount {
    /// "1.5", or "3" without a fraction.
    static func short(_ value: Double) -> String {
        let tenths = (value * 10).rounded() / 10
        return tenths == tenths.rounded() && abs(tenths) < 1e15 ? "\(Int(tenths))" : "\(tenths)"
    }

    /// "512 B", "1.5 KiB".
    static func bytes(_ count: Double) -> String {
        var (value, unit) = (count, 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return "\(value >= 100 ? short(value.rounded()) : short(value)) \(units[unit])"
    }

    /// "950", "12.3k", "4.1M".
    static func count(_ count: Double) -> String {
        var (value, unit) = (count, 0)
        let units = ["", "k", "M", "G"]
        while value >= 1000, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
        return (unit == 0 ? short(value) : short(value)) + units[unit]
    }

    /// "250 µs", "3.2 s", "5 min 3 s", "2 h 10 min", "3 d 4 h".
    static func time(_ seconds: Double) -> String {
        if seconds < 0.001 { return "\(short(seconds * 1e6)) µs" }
        if seconds < 1 { return "\(short(seconds * 1000)) ms" }
        if seconds < 60 { return "\(short(seconds)) s" }
        let whole = Int(min(seconds, 1e12))
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        if whole < 86_400 { return "\(whole / 3600) h \(whole / 60 % 60) min" }
        return "\(whole / 86_400) d \(whole / 3600 % 24) h"
    }
}
