internal import CReactor

extension Request {
    /// Header fields: `request.header["user-agent"]`. Names match in any letter case.
    public struct Fields: Sendable, Sequence {
        let request: Request

        /// The value of the first field of this name.
        public subscript(name: String) -> String? {
            unsafe request.withView { view in
                unsafe Fields.withLowercase(name) { name in
                    guard let field = unsafe view.field(name, after: nil) else { return nil }
                    return unsafe view.text(at: field.pointee.value, field.pointee.value_length)
                }
            }
        }

        /// The values of all fields of this name, in order.
        public func all(_ name: String) -> [String] {
            unsafe request.withView { view in
                unsafe Fields.withLowercase(name) { name in
                    var found: [String] = []
                    var field = unsafe view.field(name, after: nil)
                    while let here = unsafe field {
                        unsafe found.append(view.text(at: here.pointee.value, here.pointee.value_length))
                        unsafe field = unsafe view.field(name, after: here)
                    }
                    return found
                }
            }
        }

        /// Whether there is a field of this name.
        public func contains(_ name: String) -> Bool {
            unsafe request.withView { view in
                unsafe Fields.withLowercase(name) { name in unsafe view.field(name, after: nil) != nil }
            }
        }

        /// The number of field lines.
        public var count: Int { unsafe request.withView { unsafe Int($0.head.pointee.field_count) } }

        /// All pairs of name and value, in order.
        public func makeIterator() -> some IteratorProtocol<(name: String, value: String)> {
            unsafe request.withView { view in
                unsafe (0..<Int(view.head.pointee.field_count)).map { index in
                    let field = unsafe view.fields[index]
                    return unsafe (
                        name: view.text(at: field.name, field.name_length),
                        value: view.text(at: field.value, field.value_length)
                    )
                }
            }.makeIterator()
        }

        /// Calls `body` with the name in lower case, without making a String.
        private static func withLowercase<Result>(
            _ name: String, _ body: (UnsafeBufferPointer<CChar>) -> Result
        ) -> Result {
            var name = name
            return name.withUTF8 { bytes in
                unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count) { lower in
                    for index in bytes.indices {
                        let byte = unsafe bytes[index]
                        let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                        unsafe lower.initializeElement(at: index, to: CChar(bitPattern: isUpper ? byte | 0x20 : byte))
                    }
                    return unsafe body(UnsafeBufferPointer(lower))
                }
            }
        }
    }

    /// The cookies of a request, by name. When several have one name, the first counts.
    public struct Cookies: Sendable, Sequence {
        let request: Request

        /// The value of the cookie of this name, as sent, without quotes around it.
        public subscript(name: String) -> String? {
            var name = name
            return name.withUTF8 { name in
                unsafe request.withView { view in
                    var cursor = unsafe cre_http_cookies()
                    var pair = unsafe cre_http_pair()
                    unsafe cre_http_cookies_of(&cursor, view.head, view.fields, view.bytes)
                    while unsafe cre_http_cookies_next(&cursor, &pair) {
                        let found = unsafe UnsafeRawBufferPointer(start: pair.name, count: pair.name_length)
                        if unsafe found.elementsEqual(name) { return unsafe text(pair.value, pair.value_length) }
                    }
                    return nil
                }
            }
        }

        /// All pairs of name and value, in the order in which they were sent, each name once.
        public func makeIterator() -> some IteratorProtocol<(key: String, value: String)> { all().makeIterator() }

        /// The number of names.
        public var count: Int { all().count }
        /// Whether the request has no cookies.
        public var isEmpty: Bool { all().isEmpty }
        /// The names, in the order in which they were sent.
        public var keys: [String] { all().map(\.key) }
        /// The cookies as a dictionary.
        public var dictionary: [String: String] { Dictionary(all().map { ($0.key, $0.value) }) { first, _ in first } }

        /// Whether these are exactly the cookies of the dictionary.
        public static func == (cookies: Cookies, dictionary: [String: String]) -> Bool {
            cookies.dictionary == dictionary
        }

        private func all() -> [(key: String, value: String)] {
            unsafe request.withView { view in
                var cursor = unsafe cre_http_cookies()
                var pair = unsafe cre_http_pair()
                var found: [(key: String, value: String)] = []
                var names: Set<String> = []
                unsafe cre_http_cookies_of(&cursor, view.head, view.fields, view.bytes)
                while unsafe cre_http_cookies_next(&cursor, &pair) {
                    let name = unsafe text(pair.name, pair.name_length)
                    guard names.insert(name).inserted else { continue }
                    found.append((name, unsafe text(pair.value, pair.value_length)))
                }
                return found
            }
        }
    }
}

extension cre_request_view {
    /// The first field of a name in lower case, or the next one.
    fileprivate func field(
        _ name: UnsafeBufferPointer<CChar>, after previous: UnsafePointer<cre_http_field>?
    ) -> UnsafePointer<cre_http_field>? {
        guard name.count > 0 else { return nil }
        return unsafe cre_http_find_next(head, fields, bytes, name.baseAddress, name.count, previous)
    }
}

private func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
    guard let start = unsafe start else { return "" }
    return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
}
