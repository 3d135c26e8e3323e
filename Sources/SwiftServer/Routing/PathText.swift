/// Parts of paths as they are sent, with escapes.
enum PathText {
    private static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")
    private static let percent = UInt8(ascii: "%")

    /// The byte at `index`, decoded, and the index behind it; `nil` for a malformed escape and a zero byte.
    @inline(__always) private static func next(
        _ text: UnsafeBufferPointer<UInt8>, _ index: Int
    ) -> (byte: UInt8, end: Int)? {
        let byte = unsafe text[index]
        guard byte == percent else { return byte == 0 ? nil : (byte, index + 1) }
        guard index + 2 < text.count, let high = unsafe digit(text[index + 1]), let low = unsafe digit(text[index + 2])
        else { return nil }
        let decoded = high << 4 | low
        return decoded == 0 ? nil : (decoded, index + 3)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Whether the text may be the value of a parameter: its escapes are valid, and when it is decoded it has no zero
    /// byte and no segment "." or "..", so that it leads to no other folder when it is used as the name of a file.
    static func isValue(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        var length = 0
        var dots = 0
        while index < text.count {
            guard let (byte, end) = unsafe next(text, index) else { return false }
            index = end
            if byte == slash {
                if isDots(length, dots) { return false }
                (length, dots) = (0, 0)
            } else {
                length += 1
                if byte == dot { dots += 1 }
            }
        }
        return !isDots(length, dots)
    }

    private static func isDots(_ length: Int, _ dots: Int) -> Bool { dots == length && (1...2).contains(length) }

    /// Whether all escapes are valid and none is a zero byte.
    static func isWellFormed(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        while index < text.count {
            guard let (_, end) = unsafe next(text, index) else { return false }
            index = end
        }
        return true
    }

    /// The order of a segment with escapes, decoded and perhaps in lower case, and other bytes: negative when the
    /// segment is before them, 0 when they are equal. A malformed escape is behind all bytes.
    static func order(
        _ text: UnsafeBufferPointer<UInt8>, _ label: UnsafeBufferPointer<UInt8>, lowercasing: Bool = false
    ) -> Int {
        var index = 0
        var place = 0
        while index < text.count {
            guard place < label.count, let (byte, end) = unsafe next(text, index) else { return 1 }
            let order = unsafe Int(lowercasing ? lowercased(byte) : byte) - Int(label[place])
            if order != 0 { return order }
            index = end
            place += 1
        }
        return place - label.count
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// The bytes that the text stands for; `nil` for malformed escapes and zero bytes.
    static func decoded(_ text: [UInt8]) -> [UInt8]? {
        unsafe text.withUnsafeBufferPointer { text in
            var bytes: [UInt8] = []
            var index = 0
            while index < text.count {
                guard let (byte, end) = unsafe next(text, index) else { return nil }
                bytes.append(byte)
                index = end
            }
            return bytes
        }
    }
}
