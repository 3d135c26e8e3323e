/// A compression of bodies that HTTP knows: a value of `Content-Encoding`.
public enum ContentCoding: String, Sendable, Hashable, CaseIterable {
    /// Brotli (RFC 7932), the smallest for text.
    case brotli = "br"
    /// Zstandard (RFC 8878).
    case zstandard = "zstd"
    /// gzip (RFC 1952), which every client knows.
    case gzip = "gzip"

    /// The end of the name of a file that is compressed so.
    var suffix: String {
        switch self {
        case .brotli: ".br"
        case .zstandard: ".zst"
        case .gzip: ".gz"
        }
    }
}

/// The codings that a client accepts, with its preferences: an `Accept-Encoding` field (RFC 9110, section 12.5.3).
struct AcceptedCodings: Equatable {
    // Weights in thousandths; `nil`: not listed.
    private var brotli: Int?
    private var zstandard: Int?
    private var gzip: Int?
    private var identity: Int?
    /// The weight of `*`.
    private var others: Int?

    /// Reads the values of all fields. A malformed element is ignored.
    init(_ values: [String]) {
        for value in values {
            for element in value.utf8.split(separator: UInt8(ascii: ",")) { add(element) }
        }
    }

    private mutating func add(_ element: Substring.UTF8View) {
        let parts = element.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
        let name = String(Substring(AcceptedCodings.trimmed(parts[0]))).lowercased()
        var weight = 1000
        for parameter in parts.dropFirst() {
            let parameter = AcceptedCodings.trimmed(parameter)
            guard let first = parameter.first, first | 0x20 == UInt8(ascii: "q") else { continue }
            guard let value = AcceptedCodings.weight(parameter.dropFirst()) else { return }
            weight = value
        }
        switch name {
        case "br": brotli = brotli ?? weight
        case "zstd": zstandard = zstandard ?? weight
        case "gzip", "x-gzip": gzip = gzip ?? weight
        case "identity": identity = identity ?? weight
        case "*": others = others ?? weight
        default: break
        }
    }

    /// "=0.5" and the like, at most three digits.
    private static func weight(_ text: Substring.UTF8View) -> Int? {
        let digits = Array(text)
        guard digits.count >= 2, digits.count <= 6, digits[0] == UInt8(ascii: "=") else { return nil }
        guard digits[1] == UInt8(ascii: "0") || digits[1] == UInt8(ascii: "1") else { return nil }
        guard digits.count == 2 || digits[2] == UInt8(ascii: ".") else { return nil }
        var thousandths = 0
        for index in 3..<6 {
            let digit = index < digits.count ? digits[index] : UInt8(ascii: "0")
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            thousandths = thousandths * 10 + Int(digit - UInt8(ascii: "0"))
        }
        if digits[1] == UInt8(ascii: "1") { return thousandths == 0 ? 1000 : nil }
        return thousandths
    }

    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text
        while let first = text.first, first == 0x20 || first == 0x09 { text.removeFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return text
    }

    /// The preference for a coding, 0...1000; 0: the client does not accept it.
    func weight(of coding: ContentCoding) -> Int {
        switch coding {
        case .brotli: brotli ?? others ?? 0
        case .zstandard: zstandard ?? others ?? 0
        case .gzip: gzip ?? others ?? 0
        }
    }

    /// The preference for a body without a coding. One that is not mentioned is accepted, and preferred least.
    var weightOfIdentity: Int { identity ?? others ?? 1 }

    /// The coding that the client likes best, among equal ones the first of `codings`. `nil`: none, since the client
    /// prefers the body as it is, or accepts no coding of these.
    func best(of codings: some Sequence<ContentCoding>) -> ContentCoding? {
        var best: (coding: ContentCoding, weight: Int)?
        for coding in codings {
            let weight = weight(of: coding)
            if weight > best?.weight ?? 0 { best = (coding, weight) }
        }
        guard let best, best.weight >= weightOfIdentity else { return nil }
        return best.coding
    }
}
