internal import CReactor

extension HTTPClient {
    /// Header fields of a request or a response, in their order. Names match in any letter case.
    ///
    /// ```swift
    /// var fields: HTTPClient.Fields = ["Accept": "application/json"]
    /// fields["Authorization"] = "Bearer \(token)"
    /// fields.add("Cookie", "a=1")
    /// ```
    public struct Fields: Sendable, Sequence, ExpressibleByDictionaryLiteral {
        private var entries: [(name: String, value: String)] = []

        /// Makes an empty list.
        public init() {}

        /// Makes a list of these fields.
        public init(dictionaryLiteral elements: (String, String)...) { entries = elements.map { ($0.0, $0.1) } }

        /// Whether there are none.
        public var isEmpty: Bool { entries.isEmpty }
        /// The number of fields.
        public var count: Int { entries.count }

        /// The value of the first field of this name. Setting it replaces all of them; `nil` removes them.
        public subscript(_ name: String) -> String? {
            get { entries.first { isSameFieldName($0.name.utf8, name.utf8) }?.value }
            set {
                remove(name)
                if let newValue { add(name, newValue) }
            }
        }

        /// The values of all fields of this name.
        public func all(_ name: String) -> [String] {
            entries.compactMap { isSameFieldName($0.name.utf8, name.utf8) ? $0.value : nil }
        }

        /// Adds a field behind the others.
        public mutating func add(_ name: String, _ value: String) { entries.append((name, value)) }

        /// Removes all fields of this name.
        public mutating func remove(_ name: String) { entries.removeAll { isSameFieldName($0.name.utf8, name.utf8) } }

        /// Walks through the fields.
        public func makeIterator() -> IndexingIterator<[(name: String, value: String)]> { entries.makeIterator() }

        /// The sum of the lengths of names and values.
        var size: Int { entries.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count } }
    }
}

extension HTTPClient.Fields {
    /// The trailers of a response.
    init(_ trailers: cre_http_client_trailers) {
        self.init()
        func text(_ start: UInt16, _ length: UInt16) -> String {
            unsafe String(
                decoding: UnsafeBufferPointer(start: trailers.bytes + Int(start), count: Int(length)), as: UTF8.self)
        }
        for index in unsafe 0..<trailers.count {
            let field = unsafe trailers.fields[index]
            add(text(field.name, field.name_length), text(field.value, field.value_length))
        }
    }
}

/// Whether two names of fields are the same.
func isSameFieldName(_ one: some Collection<UInt8>, _ other: some Collection<UInt8>) -> Bool {
    func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
    return one.count == other.count && zip(one, other).allSatisfy { $0 == $1 || lower($0) == lower($1) }
}
