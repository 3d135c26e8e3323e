internal import CReactor

/// Why a route cannot be used: an error of `start()`.
struct RouteError: Error, Hashable {
    let message: String
}

/// The pattern of a route, in segments: "/users/:id/files/*path".
struct RoutePattern {
    enum Segment: Hashable {
        /// The decoded bytes of one segment.
        case literal([UInt8])
        case parameter(String)
        /// The rest of the path, with or without a name.
        case rest(String?)
    }

    let segments: [Segment]

    static let longest = 8192
    static let mostSegments = 255

    /// - Parameter text: as ``joined(_:_:)`` has made it.
    init(_ text: String) throws(RouteError) {
        guard text.utf8.count <= RoutePattern.longest else {
            throw RouteError(message: "it is longer than \(RoutePattern.longest) bytes")
        }
        guard text.hasPrefix("/") else { throw RouteError(message: "a pattern begins with a slash") }
        guard !text.contains("?"), !text.contains("#") else {
            throw RouteError(message: "a pattern has neither a query nor a fragment")
        }
        var parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if parts.last?.isEmpty == true { parts.removeLast() }  // a slash at the end has no meaning
        guard parts.count <= RoutePattern.mostSegments else {
            throw RouteError(message: "it has more than \(RoutePattern.mostSegments) segments")
        }
        var segments: [Segment] = []
        var names: Set<String> = []
        for (index, part) in parts.enumerated() {
            let segment = try RoutePattern.segment(part, isLast: index == parts.count - 1)
            switch segment {
            case .parameter(let name), .rest(let name?):
                guard names.insert(name).inserted else {
                    throw RouteError(message: "two of its parameters are named \(name)")
                }
            default: break
            }
            segments.append(segment)
        }
        self.segments = segments
    }

    private static func segment(_ text: Substring, isLast: Bool) throws(RouteError) -> Segment {
        switch text.first {
        case nil: throw RouteError(message: "it has an empty segment")
        case ":": return .parameter(try name(text.dropFirst(), of: text))
        case "*":
            guard isLast else { throw RouteError(message: "the wildcard \(text) must be its last segment") }
            return .rest(text.count == 1 ? nil : try name(text.dropFirst(), of: text))
        default: break
        }
        guard !text.contains("*") else {
            throw RouteError(message: "the wildcard in \"\(text)\" must begin the segment; a literal * is written %2A")
        }
        if text.hasPrefix("{"), text.hasSuffix("}") {
            throw RouteError(message: "a parameter is written :\(text.dropFirst().dropLast()), got \(text)")
        }
        guard text != ".", text != ".." else { throw RouteError(message: "no request has a segment \"\(text)\"") }
        guard let bytes = PathText.decoded([UInt8](text.utf8)) else {
            throw RouteError(message: "the escapes in \"\(text)\" are malformed")
        }
        return .literal(bytes)
    }

    private static func name(_ text: Substring, of segment: Substring) throws(RouteError) -> String {
        guard !text.isEmpty, text.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }) else {
            throw RouteError(
                message: "the name of \(segment) must consist of letters, digits, \"_\" and \"-\"")
        }
        return String(text)
    }

    /// The parameters of the pattern.
    var parameters: [RouteInfo.Parameter] {
        segments.enumerated().compactMap { index, segment in
            switch segment {
            case .literal, .rest(nil): nil
            case .parameter(let name): RouteInfo.Parameter(name: name, segment: index, isRest: false)
            case .rest(let name?): RouteInfo.Parameter(name: name, segment: index, isRest: true)
            }
        }
    }

    /// The pattern of a route in a group: "/api" and "/users" are "/api/users", "/api" and "/" are "/api".
    static func joined(_ prefix: String, _ path: String) throws(RouteError) -> String {
        guard path.isEmpty || path.hasPrefix("/") else {
            throw RouteError(message: "\"\(path)\" must begin with a slash")
        }
        let path = path.hasSuffix("/") ? String(path.dropLast()) : path
        let whole = prefix == "/" ? path : prefix + path
        return whole.isEmpty ? "/" : whole
    }
}
