/// The parts of a body that a `Range` field asks for (RFC 9110, section 14.2).
enum ByteRanges: Equatable {
    /// All of it: the field is missing, malformed, in another unit, or asks for too many parts.
    case all
    /// Nothing that there is: 416.
    case none
    /// One or several parts that do not overlap.
    case parts([Range<UInt64>])

    /// Reads the field for a body of `size` bytes. More than `limit` ranges are ignored; overlapping ranges are joined,
    /// so that no response is larger than the body but for the heads of its parts.
    init(_ field: String, size: UInt64, limit: Int) {
        self = ByteRanges.parse(field, size, limit) ?? .all
    }

    private static func parse(_ field: String, _ size: UInt64, _ limit: Int) -> ByteRanges? {
        var rest = Substring(field).utf8
        for byte in "bytes=".utf8 {
            guard let next = rest.popFirst(), next == byte || next | 0x20 == byte else { return nil }
        }
        var found: [Range<UInt64>] = []
        var count = 0
        for element in rest.split(separator: UInt8(ascii: ",")) {
            var element = element
            while let first = element.first, first == 0x20 || first == 0x09 { element.removeFirst() }
            while let last = element.last, last == 0x20 || last == 0x09 { element.removeLast() }
            if element.isEmpty { continue }
            count += 1
            guard count <= limit, let dash = element.firstIndex(of: UInt8(ascii: "-")) else { return nil }
            let (first, last) = (element[..<dash], element[element.index(after: dash)...])
            guard let range = range(first, last, size) else { return nil }
            if !range.isEmpty { found.append(range) }
        }
        guard count > 0 else { return nil }
        return found.isEmpty ? ByteRanges.none : .parts(joined(found))
    }

    /// "0-499", "500-" or "-500"; an empty range when there are no such bytes, `nil` when it is malformed.
    private static func range(
        _ first: Substring.UTF8View, _ last: Substring.UTF8View, _ size: UInt64
    ) -> Range<UInt64>? {
        if first.isEmpty {
            guard let length = number(last) else { return nil }
            return size - min(length, size)..<size
        }
        guard let start = number(first) else { return nil }
        guard !last.isEmpty else { return min(start, size)..<size }
        guard let end = number(last), end >= start else { return nil }
        guard start < size else { return size..<size }
        return start..<min(end, size - 1) + 1
    }

    /// A decimal number; one that is too large for any file is `UInt64.max`.
    private static func number(_ digits: Substring.UTF8View) -> UInt64? {
        var value: UInt64 = 0
        for byte in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            value = overflow || carry || value == .max ? .max : sum
        }
        return digits.isEmpty ? nil : value
    }

    /// The ranges in their order; when some overlap, all in ascending order and without overlaps.
    private static func joined(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
        guard zip(sorted, sorted.dropFirst()).contains(where: { $0.overlaps($1) }) else { return ranges }
        var joined = [sorted[0]]
        for range in sorted.dropFirst() {
            let last = joined[joined.count - 1]
            if range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }
}
