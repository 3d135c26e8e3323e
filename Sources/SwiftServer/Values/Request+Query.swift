internal import CReactor

extension Request {
    /// Decoded arguments of a query or a form: `request.query["room"]`. They are decoded when they are looked up; at
    /// most 1000 are read. One with malformed escapes is skipped.
    public struct Query: Sendable, Sequence {
        let text: String

        /// The value of the first argument of this name.
        public subscript(name: String) -> String? {
            var found: String?
            unsafe forEachPair {
                guard unsafe decoded($0.name, $0.name_length) == name else { return true }
                found = unsafe decoded($0.value, $0.value_length)
                return found == nil
            }
            return found
        }

        /// The values of all arguments of this name, in order.
        public func all(_ name: String) -> [String] { filter { $0.name == name }.map(\.value) }

        /// All pairs of name and value, in order.
        public func makeIterator() -> some IteratorProtocol<(name: String, value: String)> {
            var found: [(name: String, value: String)] = []
            unsafe forEachPair {
                if let name = unsafe decoded($0.name, $0.name_length),
                    let value = unsafe decoded($0.value, $0.value_length)
                {
                    found.append((name, value))
                }
                return true
            }
            return found.makeIterator()
        }

        /// Calls `body` with each pair as it was sent, until that returns false.
        private func forEachPair(_ body: (cre_http_pair) -> Bool) {
            var copy = text
            copy.withUTF8 { bytes in
                var cursor = unsafe cre_http_query()
                var pair = unsafe cre_http_pair()
                unsafe bytes.withMemoryRebound(to: CChar.self) {
                    unsafe cre_http_query_of(&cursor, $0.baseAddress, $0.count, 0)
                    while unsafe cre_http_query_next(&cursor, &pair) == 1 {
                        guard unsafe body(pair) else { return }
                    }
                }
            }
        }

        private func decoded(_ start: UnsafePointer<CChar>?, _ length: Int) -> String? {
            guard length > 0, let start = unsafe start else { return "" }
            var isValid = false
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: length) { out, count in
                let size = unsafe out.withMemoryRebound(to: CChar.self) {
                    unsafe cre_http_form_decode(start, length, $0.baseAddress)
                }
                isValid = size >= 0
                count = Swift.max(0, Int(size))
            }
            return isValid ? String(decoding: bytes, as: UTF8.self) : nil
        }
    }

    /// Whether the body has the type of a form.
    var isForm: Bool {
        guard let type = header["content-type"] else { return false }
        let name = type.prefix { $0 != ";" && $0 != " " && $0 != "\t" }
        return name.lowercased() == "application/x-www-form-urlencoded"
    }
}
