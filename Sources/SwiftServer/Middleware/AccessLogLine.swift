internal import CReactor
internal import Glibc

/// A line of an access log in another format than NCSA's. Whatever clients send cannot end it, or one of its fields.
struct AccessLogLine {
    private(set) var bytes: [UInt8] = []

    /// A JSON object.
    init(json entry: AccessLog.Entry) { addJSON(entry) }

    /// A text of the application.
    init(_ text: String) {
        var text = text
        text.withUTF8 { unsafe addText($0) }
    }

    /// Ends the line.
    mutating func end() { bytes.append(UInt8(ascii: "\n")) }

    /// The line that reports dropped lines.
    static func dropped(_ count: Int, isJSON: Bool) -> [UInt8] {
        Array((isJSON ? "{\"dropped\":\(count)}\n" : "# \(count) lines were dropped\n").utf8)
    }

    // MARK: JSON

    private mutating func addJSON(_ entry: AccessLog.Entry) {
        bytes.reserveCapacity(512)
        let request = entry.request
        add("{\"time\":\"")
        addTimestamp(entry.time)
        add("\",\"address\":")
        addJSON(entry.clientAddress)
        add(",\"method\":")
        addJSON(request.method)
        add(",\"target\":")
        addJSON(request.target)
        add(request.isHTTP10 ? ",\"protocol\":\"HTTP/1.0\",\"host\":" : ",\"protocol\":\"HTTP/1.1\",\"host\":")
        addJSON(request.host)
        add(",\"status\":")
        add(entry.outcome.status)
        add(",\"bytes\":")
        add(entry.outcome.bytesSent)
        add(",\"duration\":")
        addSeconds(entry.duration)
        for (name, value) in [("referer", "referer"), ("userAgent", "user-agent")] {
            add(",\"\(name)\":")
            if let text = request.header[value] { addJSON(text) } else { add("null") }
        }
        add(",\"requestID\":")
        addJSON(request.requestID)
        add(entry.outcome.isComplete ? ",\"complete\":true}" : ",\"complete\":false}")
    }

    private mutating func addJSON(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case "\u{20}"..."\u{7E}": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            default:
                for unit in UTF16.encode(scalar)! {
                    add("\\u")
                    add(hexadecimal: UInt8(unit >> 8))
                    add(hexadecimal: UInt8(truncatingIfNeeded: unit))
                }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// "2026-11-29T08:20:00.123Z".
    private mutating func addTimestamp(_ time: Double) {
        let milliseconds = Int(time * 1000)
        let parts = UTCTime(milliseconds / 1000)
        add(parts.year)
        for (separator, part) in [
            ("-", parts.month), ("-", parts.day), ("T", parts.hour), (":", parts.minute), (":", parts.second),
        ] {
            add(separator)
            add(twoDigits: part)
        }
        bytes.append(UInt8(ascii: "."))
        add(milliseconds % 1000, digits: 3)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// Seconds with six decimals.
    private mutating func addSeconds(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        add(Int(seconds))
        bytes.append(UInt8(ascii: "."))
        add(Int(attoseconds / 1_000_000_000_000), digits: 6)
    }

    // MARK: Parts

    private mutating func add(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func add(_ number: Int) {
        var digits = 1
        var rest = number / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        add(number, digits: digits)
    }

    private mutating func add(twoDigits number: Int) { add(number, digits: 2) }

    /// A number of at least 0, with zeros at its front.
    private mutating func add(_ number: Int, digits: Int) {
        let end = bytes.count + digits
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digits))
        var rest = number
        for place in stride(from: end - 1, through: end - digits, by: -1) {
            bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }

    private mutating func add(hexadecimal byte: UInt8) {
        for digit in [byte >> 4, byte & 15] {
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    /// Adds text of the application.
    private mutating func addText(_ text: UnsafeBufferPointer<UInt8>) {
        for index in text.indices {
            let byte = unsafe text[index]
            if (0x20...0x7E).contains(byte) { bytes.append(byte) } else { addEscaped(byte) }
        }
    }

    private mutating func addEscaped(_ byte: UInt8) {
        add("\\x")
        add(hexadecimal: byte)
    }
}

extension Request {
    var isHTTP10: Bool { unsafe withView { unsafe $0.head.pointee.minor == 0 } }
}

/// A point in time as its parts.
struct UTCTime {
    let year, month, day, hour, minute, second: Int

    init(_ seconds: Int) {
        var seconds = time_t(seconds)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        year = unsafe Int(parts.tm_year) + 1900
        month = unsafe Int(parts.tm_mon) + 1
        day = unsafe Int(parts.tm_mday)
        hour = unsafe Int(parts.tm_hour)
        minute = unsafe Int(parts.tm_min)
        second = unsafe Int(parts.tm_sec)
    }
}
