// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public struct HTTPField: Sendable, Hashable {
    public struct Name: Sendable, Hashable {
        public let rawName: String
        public let canonicalName: String

        public init?(_ name: String) {
            guard isToken(name) else { return nil }
            rawName = name
            canonicalName = name.lowercased()
        }

        public static func == (a: Name, b: Name) -> Bool { a.canonicalName == b.canonicalName }

        public func hash(into hasher: inout Hasher) { hasher.combine(canonicalName) }
    }

    public let name: Name
    public let value: String

    public init(name: Name, value: String) {
        self.name = name
        self.value = value
    }
}

public struct HTTPFields: Sendable, Hashable, RandomAccessCollection {
    private var fields: [HTTPField] = []

    public init() {}

    public var startIndex: Int { 0 }
    public var endIndex: Int { fields.count }
    public subscript(position: Int) -> HTTPField { fields[position] }

    public mutating func append(_ field: HTTPField) { fields.append(field) }

    public subscript(name: HTTPField.Name) -> String? {
        get {
            let values = fields.filter { $0.name == name }.map(\.value)
            return values.isEmpty ? nil : values.joined(separator: ", ")
        }
        set {
            fields.removeAll { $0.name == name }
            if let newValue { fields.append(HTTPField(name: name, value: newValue)) }
        }
    }
}

public struct HTTPRequest: Sendable, Hashable {
    public struct Method: Sendable, Hashable {
        public let rawValue: String

        public init?(_ method: String) {
            guard isToken(method) else { return nil }
            rawValue = method
        }
    }

    public var method: Method
    public var scheme: String?
    public var authority: String?
    public var path: String?
    public var headerFields: HTTPFields

    public init(method: Method, scheme: String?, authority: String?, path: String?, headerFields: HTTPFields) {
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.headerFields = headerFields
    }
}

public struct HTTPResponse: Sendable, Hashable {
    public struct Status: Sendable, Hashable, ExpressibleByIntegerLiteral {
        public let code: Int

        public init(integerLiteral value: Int) { code = value }
    }

    public var status: Status
    public var headerFields: HTTPFields

    public init(status: Status, headerFields: HTTPFields = HTTPFields()) {
        self.status = status
        self.headerFields = headerFields
    }
}

private func isToken(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            byte > 32 && byte < 127 && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
        }
}
