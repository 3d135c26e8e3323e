internal import CReactor
internal import Glibc

/// Lines of NCSA's formats. Whatever clients send cannot end them, or one of their fields.
enum AccessLogText {
    /// More than all parts of a line that clients do not choose: spaces, quotes, date, address, version, two numbers.
    private static let fixedSize = 256

    /// Makes a line, with its end, in memory that lasts as long as the call of `body`.
    static func withLine(
        _ observed: ObservedResponse, _ outcome: ResponseOutcome, date: AccessLogDate,
        isCombined: Bool, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        let remote = observed.remote
        // Behind a proxy it is in a field of the request, and was checked to be an address.
        let forwarded =
            TrustedProxies.current == nil ? nil : observed.request.clientAddress(remote: remote.text)
        unsafe observed.request.withView { view in
            let head = unsafe view.head.pointee
            let method = unsafe text(view, head.method_start, head.method_length)
            let target = unsafe text(view, head.target, head.target_length)
            let referer = unsafe isCombined ? field(view, "referer") : nil
            let agent = unsafe isCombined ? field(view, "user-agent") : nil
            var size = fixedSize + (forwarded?.utf8.count ?? 0)
            size += unsafe 4 * (method.count + target.count + (referer?.count ?? 0) + (agent?.count ?? 0))
            unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size) { room in
                let start = unsafe room.baseAddress.unsafelyUnwrapped
                var line = unsafe TextCursor(at: start)
                if let forwarded {
                    unsafe line.put(address: forwarded)
                } else {
                    unsafe line.put(address: remote)
                }
                unsafe line.put(" - - [")
                unsafe date.write(to: &line)
                unsafe line.put("] \"")
                unsafe line.putEscaped(method)
                unsafe line.put(" ")
                unsafe line.putEscaped(target)
                switch Request.Version(head) {
                case .http10: unsafe line.put(" HTTP/1.0\" ")
                case .http11: unsafe line.put(" HTTP/1.1\" ")
                case .http2: unsafe line.put(" HTTP/2.0\" ")
                }
                unsafe line.put(outcome.status)
                unsafe line.put(" ")
                if outcome.bytesSent > 0 { unsafe line.put(outcome.bytesSent) } else { unsafe line.put("-") }
                if isCombined {
                    unsafe line.put(quoted: referer)
                    unsafe line.put(quoted: agent)
                }
                unsafe line.put("\n")
                unsafe body(UnsafeRawBufferPointer(start: start, count: line.at - start))
            }
        }
    }

    static func text(
        _ view: cre_request_view, _ offset: UInt16, _ length: UInt16
    ) -> UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: view.bytes + Int(offset), count: Int(length))
    }

    /// The value of the first field of a name, which is in lower case.
    static func field(_ view: cre_request_view, _ name: StaticString) -> UnsafeBufferPointer<UInt8>? {
        unsafe name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount) { start in
            let found = unsafe cre_http_find(view.head, view.fields, view.bytes, start, name.utf8CodeUnitCount)
            guard let found = unsafe found?.pointee else { return nil }
            return unsafe text(view, found.value, found.value_length)
        }
    }
}

/// Writes text into memory that is known to be large enough.
@unsafe struct TextCursor {
    private(set) var at: UnsafeMutablePointer<UInt8>

    @inline(__always) mutating func put(_ byte: UInt8) {
        unsafe at.pointee = byte
        unsafe at += 1
    }

    @inline(__always) mutating func put(_ text: StaticString) {
        unsafe at.update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        unsafe at += text.utf8CodeUnitCount
    }

    @inline(__always) mutating func put(_ text: UnsafeBufferPointer<UInt8>) {
        guard let start = text.baseAddress else { return }
        unsafe at.update(from: start, count: text.count)
        unsafe at += text.count
    }

    mutating func put(address: String) {
        if address.isEmpty { unsafe put("-") }
        for byte in address.utf8 { unsafe put(byte) }
    }

    mutating func put(address: BinaryAddress) {
        let length = unsafe address.write(to: at)
        unsafe at += length
        if length == 0 { unsafe put("-") }
    }

    /// A number of at least 0.
    mutating func put(_ number: Int) {
        var digits = 1
        var rest = number
        while rest >= 10 {
            digits += 1
            rest /= 10
        }
        rest = number
        for place in stride(from: digits - 1, through: 0, by: -1) {
            unsafe at[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        unsafe at += digits
    }

    /// A field in quotes, behind a space; "-" stands for none.
    mutating func put(quoted text: UnsafeBufferPointer<UInt8>?) {
        guard let text = unsafe text else { return unsafe put(" \"-\"") }
        unsafe put(" \"")
        unsafe putEscaped(text)
        unsafe put("\"")
    }

    /// Text of a client: each byte takes at most four.
    mutating func putEscaped(_ text: UnsafeBufferPointer<UInt8>) {
        for index in text.indices {
            let byte = unsafe text[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                unsafe put(UInt8(ascii: "\\"))
                unsafe put(byte)
            case 0x20...0x7E: unsafe put(byte)
            default:
                unsafe put("\\x")
                unsafe put(digit: byte >> 4)
                unsafe put(digit: byte & 15)
            }
        }
    }

    /// Leaves bytes that were written elsewhere.
    mutating func skip(_ length: Int) { unsafe at += length }

    mutating func put(digit: UInt8) {
        unsafe put(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
}

/// The date of lines, which is made once for each second: "29/Nov/2026:08:20:00 +0000" or "2026-11-29T08:20:00.".
struct AccessLogDate {
    let isJSON: Bool
    private var second: Int64?
    private var bytes: [UInt8] = []

    init(isJSON: Bool) { self.isJSON = isJSON }

    mutating func set(_ second: Int64) {
        if second != self.second { make(second) }
    }

    @inline(never) private mutating func make(_ second: Int64) {
        let time = UTCTime(Int(second))
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let (day, hour) = (AccessLogDate.text(time.day), AccessLogDate.text(time.hour))
        let (minute, part) = (AccessLogDate.text(time.minute), AccessLogDate.text(time.second))
        self.second = second
        if isJSON {
            let month = AccessLogDate.text(time.month)
            bytes = Array("\(time.year)-\(month)-\(day)T\(hour):\(minute):\(part).".utf8)
            return
        }
        bytes = Array("\(day)/\(months[time.month - 1])/\(time.year):\(hour):\(minute):\(part) +0000".utf8)
    }

    private static func text(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    func write(to cursor: inout TextCursor) {
        unsafe bytes.withUnsafeBufferPointer { unsafe cursor.put($0) }
    }
}
