internal import CReactor
internal import Glibc

/// Lines of an access log in another format than NCSA's, with their ends. Whatever clients send cannot end them, or one
/// of their fields. They are made in memory that lasts as long as the call of `body`.
enum AccessLogLine {
    /// More than all parts of an object that clients do not choose: names, time, address, numbers, request id.
    private static let fixedSize = 512

    /// What of an object is text only when there are proxies: other requests need no String.
    private struct Forwarded {
        let address, host, requestID: String

        init(_ request: Request, remote: BinaryAddress) {
            (address, host) = (request.clientAddress(remote: remote.text), request.host)
            requestID = request.requestID
        }

        var size: Int { address.utf8.count + host.utf8.count + requestID.utf8.count }
    }

    /// A JSON object.
    static func withJSON(
        _ observed: ObservedResponse, _ outcome: ResponseOutcome, _ timing: AccessLogTiming, date: AccessLogDate,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        let forwarded =
            TrustedProxies.current == nil ? nil : Forwarded(observed.request, remote: observed.remote)
        unsafe observed.request.withView { view in
            let head = unsafe view.head.pointee
            let method = unsafe AccessLogText.text(view, head.method_start, head.method_length)
            let target = unsafe AccessLogText.text(view, head.target, head.target_length)
            let host = unsafe AccessLogText.text(view, head.host, head.host_length)
            let referer = unsafe AccessLogText.field(view, "referer")
            let agent = unsafe AccessLogText.field(view, "user-agent")
            var size = unsafe method.count + target.count + host.count + (referer?.count ?? 0) + (agent?.count ?? 0)
            size += forwarded?.size ?? 0
            unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: fixedSize + 6 * size) { room in
                let start = unsafe room.baseAddress.unsafelyUnwrapped
                var line = unsafe TextCursor(at: start)
                unsafe line.put("{\"time\":\"")
                unsafe date.write(to: &line)
                unsafe line.put(timing.milliseconds, digits: 3)
                unsafe line.put("Z\",\"address\":")
                if let forwarded {
                    unsafe line.putJSON(forwarded.address)
                } else {
                    unsafe line.put("\"")
                    let length = unsafe observed.remote.write(to: line.at)
                    unsafe line.skip(length)
                    unsafe line.put("\"")
                }
                unsafe line.put(",\"method\":")
                unsafe line.putJSON(method)
                unsafe line.put(",\"target\":")
                unsafe line.putJSON(target)
                switch Request.Version(head) {
                case .http10: unsafe line.put(",\"protocol\":\"HTTP/1.0\",\"host\":")
                case .http11: unsafe line.put(",\"protocol\":\"HTTP/1.1\",\"host\":")
                case .http2: unsafe line.put(",\"protocol\":\"HTTP/2.0\",\"host\":")
                }
                if let forwarded { unsafe line.putJSON(forwarded.host) } else { unsafe line.putJSON(host) }
                unsafe line.put(",\"status\":")
                unsafe line.put(outcome.status)
                unsafe line.put(",\"bytes\":")
                unsafe line.put(outcome.bytesSent)
                unsafe line.put(",\"duration\":")
                unsafe line.put(Int(timing.duration / 1_000_000_000))
                unsafe line.put(".")
                unsafe line.put(Int(timing.duration % 1_000_000_000 / 1000), digits: 6)
                unsafe line.put(",\"referer\":")
                unsafe line.putJSON(orNull: referer)
                unsafe line.put(",\"userAgent\":")
                unsafe line.putJSON(orNull: agent)
                unsafe line.put(",\"requestID\":")
                if let forwarded {
                    unsafe line.putJSON(forwarded.requestID)
                } else {
                    let id = observed.request.ownID
                    unsafe line.put("\"")
                    unsafe line.put(hexadecimal: id.first)
                    unsafe line.put(hexadecimal: id.second)
                    unsafe line.put("\"")
                }
                unsafe line.put(outcome.isComplete ? ",\"complete\":true}\n" : ",\"complete\":false}\n")
                unsafe body(UnsafeRawBufferPointer(start: start, count: line.at - start))
            }
        }
    }

    /// A text of the application.
    static func withText(_ text: String, _ body: (UnsafeRawBufferPointer) -> Void) {
        var text = text
        text.withUTF8 { bytes in
            unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4 * bytes.count + 1) { room in
                let start = unsafe room.baseAddress.unsafelyUnwrapped
                var line = unsafe TextCursor(at: start)
                unsafe line.putPrintable(bytes)
                unsafe line.put("\n")
                unsafe body(UnsafeRawBufferPointer(start: start, count: line.at - start))
            }
        }
    }

    /// The line that reports dropped lines.
    static func dropped(_ count: Int, isJSON: Bool) -> [UInt8] {
        Array((isJSON ? "{\"dropped\":\(count)}\n" : "# \(count) lines were dropped\n").utf8)
    }
}

/// The time of a request.
struct AccessLogTiming {
    /// From the request to the end of its response, in nanoseconds.
    let duration: Int64
    /// The time of the request, in nanoseconds since 1970.
    let start: Int64

    var seconds: Int64 { start / 1_000_000_000 }
    /// The part of a second.
    var milliseconds: Int { Int(start / 1_000_000 % 1000) }
}

extension TextCursor {
    /// A number of at least 0, with zeros at its front.
    mutating func put(_ number: Int, digits: Int) {
        var rest = number
        for place in stride(from: digits - 1, through: 0, by: -1) {
            unsafe at[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        unsafe skip(digits)
    }

    /// 16 digits.
    mutating func put(hexadecimal number: UInt64) {
        for shift in stride(from: 60, through: 0, by: -4) {
            unsafe put(digit: UInt8(truncatingIfNeeded: number >> UInt64(shift)) & 15)
        }
    }

    /// Text of the application: each byte takes at most four.
    mutating func putPrintable(_ text: UnsafeBufferPointer<UInt8>) {
        for index in text.indices {
            let byte = unsafe text[index]
            if (0x20...0x7E).contains(byte) {
                unsafe put(byte)
            } else {
                unsafe put("\\x")
                unsafe put(digit: byte >> 4)
                unsafe put(digit: byte & 15)
            }
        }
    }

    // MARK: JSON: each byte of a text takes at most six

    mutating func putJSON(_ text: String) {
        var text = text
        text.withUTF8 { unsafe putJSON($0) }
    }

    mutating func putJSON(orNull text: UnsafeBufferPointer<UInt8>?) {
        if let text = unsafe text { unsafe putJSON(text) } else { unsafe put("null") }
    }

    mutating func putJSON(_ text: UnsafeBufferPointer<UInt8>) {
        unsafe put("\"")
        for index in text.indices {
            let byte = unsafe text[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                unsafe put("\\")
                unsafe put(byte)
            case 0x20...0x7E: unsafe put(byte)
            case 0x80...: return unsafe putDecoded(UnsafeBufferPointer(rebasing: text[index...]))
            default: unsafe put(unit: UInt16(byte))
            }
        }
        unsafe put("\"")
    }

    /// The rest of a text that is not ASCII. What is not UTF-8 becomes U+FFFD.
    @inline(never) private mutating func putDecoded(_ text: UnsafeBufferPointer<UInt8>) {
        for scalar in unsafe String(decoding: text, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"", "\\":
                unsafe put("\\")
                unsafe put(UInt8(truncatingIfNeeded: scalar.value))
            case "\u{20}"..."\u{7E}": unsafe put(UInt8(truncatingIfNeeded: scalar.value))
            default: for unit in UTF16.encode(scalar)! { unsafe put(unit: unit) }
            }
        }
        unsafe put("\"")
    }

    private mutating func put(unit: UInt16) {
        unsafe put("\\u")
        for shift: UInt16 in [12, 8, 4, 0] { unsafe put(digit: UInt8(unit >> shift & 15)) }
    }
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
