internal import CReactor

/// The conditional fields of a request, and the decision that they lead to (RFC 9110, section 13).
struct Preconditions: Equatable {
    /// What a request should lead to.
    enum Decision: Equatable {
        /// The request is carried out.
        case proceed
        /// The client's copy is current: 304.
        case notModified
        /// A condition does not hold: 412.
        case failed
    }

    /// The current representation of the resource, as far as conditions look at it.
    struct Representation: Equatable {
        /// Its entity tag as it is sent, with quotes; `nil`: it has none.
        var entityTag: String?
        /// The time of its last change, in seconds since 1970; `nil`: unknown.
        var lastModified: Int64?
        /// False when the resource does not exist, and the request would create it.
        var exists = true
    }

    /// The values of all fields of each name, in order.
    var ifMatch: [String] = []
    var ifNoneMatch: [String] = []
    var ifModifiedSince: String?
    var ifUnmodifiedSince: String?
    var ifRange: String?

    /// Whether the request has no condition that ``decide(method:_:)`` looks at.
    var isEmpty: Bool {
        ifMatch.isEmpty && ifNoneMatch.isEmpty && ifModifiedSince == nil && ifUnmodifiedSince == nil
    }

    /// Decides in the order of RFC 9110, section 13.2.2. Dates that are invalid are ignored, and so are all conditions
    /// of methods that neither read nor change a representation (section 13.2.1).
    func decide(method: String, _ current: Representation) -> Decision {
        if ["OPTIONS", "TRACE", "CONNECT"].contains(method) { return .proceed }
        let isRead = method == "GET" || method == "HEAD"
        if !ifMatch.isEmpty {
            guard Preconditions.matches(ifMatch, current, weak: false) else { return .failed }
        } else if let date = Preconditions.date(ifUnmodifiedSince), let modified = current.lastModified {
            guard modified <= date else { return .failed }
        }
        if !ifNoneMatch.isEmpty {
            guard Preconditions.matches(ifNoneMatch, current, weak: true) else { return .proceed }
            return isRead ? .notModified : .failed
        }
        if isRead, let date = Preconditions.date(ifModifiedSince), let modified = current.lastModified {
            return modified <= date ? .notModified : .proceed
        }
        return .proceed
    }

    /// Whether a `Range` field counts: there is no `If-Range`, or the client's part is of the current representation
    /// (section 13.1.5). A date must be exactly that of the representation.
    func allowsRange(_ current: Representation) -> Bool {
        guard let ifRange else { return true }
        if ifRange.utf8.contains(0x22) {
            guard let tag = current.entityTag else { return false }
            return EntityTag.isStrong(tag) && ifRange == tag
        }
        guard let date = Preconditions.date(ifRange), let modified = current.lastModified else { return false }
        return date == modified
    }

    private static func matches(_ values: [String], _ current: Representation, weak: Bool) -> Bool {
        if values.contains("*") { return current.exists }
        guard current.exists, let tag = current.entityTag else { return false }
        return values.contains { EntityTag.list($0, contains: tag, weak: weak) }
    }

    /// The seconds since 1970; `nil` for a date that is invalid or missing.
    static func date(_ text: String?) -> Int64? {
        guard var text else { return nil }
        let seconds = text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe cre_http_date_parse($0.baseAddress, $0.count) }
        }
        return seconds >= 0 ? seconds : nil
    }
}

/// Entity tags (RFC 9110, section 8.8.3): `"text"`, or `W/"text"` for a weak one.
enum EntityTag {
    /// Whether the text is an entity tag.
    static func isValid(_ tag: String) -> Bool {
        var bytes = Substring(tag).utf8
        guard next(&bytes) != nil else { return false }
        return bytes.isEmpty
    }

    static func isStrong(_ tag: String) -> Bool { tag.utf8.first == 0x22 }

    /// Whether a list of tags has this one. By the weak comparison only the texts must be equal; by the strong one both
    /// tags must be strong, too. What follows a malformed tag is ignored.
    static func list(_ list: String, contains tag: String, weak: Bool) -> Bool {
        var wanted = Substring(tag).utf8
        guard let (wantedText, wantedIsWeak) = next(&wanted), weak || !wantedIsWeak else { return false }
        var rest = Substring(list).utf8
        while true {
            while let byte = rest.first, byte == 0x20 || byte == 0x09 || byte == 0x2C { rest.removeFirst() }
            guard let (text, isWeak) = next(&rest) else { return false }
            if weak || !isWeak, text.elementsEqual(wantedText) { return true }
        }
    }

    /// Takes the tag at the beginning. A tag has no escapes: a backslash is a character like others.
    private static func next(_ rest: inout Substring.UTF8View) -> (text: Substring.UTF8View, isWeak: Bool)? {
        let isWeak = rest.first == UInt8(ascii: "W")
        if isWeak {
            rest.removeFirst()
            guard rest.first == UInt8(ascii: "/") else { return nil }
            rest.removeFirst()
        }
        guard rest.first == 0x22 else { return nil }
        rest.removeFirst()
        let text = rest.prefix { $0 == 0x21 || $0 >= 0x23 && $0 != 0x7F }
        rest = rest[text.endIndex...]
        guard rest.first == 0x22 else { return nil }
        rest.removeFirst()
        return (text, isWeak)
    }
}

extension Preconditions {
    /// The conditional fields of a request.
    init(_ request: Request) {
        let header = request.header
        ifMatch = header.all("if-match")
        ifNoneMatch = header.all("if-none-match")
        ifModifiedSince = Preconditions.value("if-modified-since", header)
        ifUnmodifiedSince = Preconditions.value("if-unmodified-since", header)
        ifRange = Preconditions.value("if-range", header)
    }

    /// The value of a field. Several fields of one name are a list, which is no valid date and no entity tag.
    private static func value(_ name: String, _ header: Request.Fields) -> String? {
        guard let first = header[name] else { return nil }
        let values = header.all(name)
        return values.count > 1 ? values.joined(separator: ", ") : first
    }
}
