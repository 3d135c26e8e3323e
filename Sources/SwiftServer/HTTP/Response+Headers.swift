extension Response {
    /// The header fields that were added so far: `response.headers["Cache-Control"] = "no-store"`.
    ///
    /// Fields that the server sets itself (`Content-Length`, `Date` and the like) are not among them, and neither is
    /// the `Content-Type` that a text gets by default.
    public var headers: Headers { Headers(response: self) }

    /// The header fields of a response. Names match in any letter case. After the response has begun they can be read
    /// and not changed.
    @MainActor public struct Headers {
        let response: Response

        /// The value of the first field of this name. Assigning replaces all fields of the name, `nil` removes them. A
        /// value that could break the response is not set; ``set(_:_:)`` reports that. Assigning `Vary` keeps the names
        /// that are there, such as that of ``CORS``, and adds the new ones.
        public subscript(name: String) -> String? {
            get { response.packed.first(name) }
            nonmutating set {
                if let newValue { set(name, newValue) } else { remove(name) }
            }
        }

        /// Replaces all fields of this name by one. The results are those of ``Response/header(_:_:)``; nothing is
        /// changed when the field is not accepted.
        ///
        /// `Vary` is an exception: what a response depends on does not end when a handler adds something, so the names
        /// that are there stay, before the new ones. ``remove(_:)`` removes them.
        @discardableResult public func set(_ name: String, _ value: String) -> ResponseResult {
            if response.hasEnded { return .ended }
            if response.isBegun { return .begun }
            let isVary = name.utf8.count == 4 && name.lowercased() == "vary"
            let value = isVary ? Headers.merged(all(name) + [value]) : value
            return response.packed.set(name, value) ? .accepted : PackedFields.isValid(name, value) ? .full : .invalid
        }

        /// The names in lists of names, each once; "*" stands for all.
        private static func merged(_ lists: [String]) -> String {
            var known: Set<String> = []
            let names = lists.flatMap { $0.split(separator: ",") }.map(\.trimmed).filter { name in
                !name.isEmpty && known.insert(name.lowercased()).inserted
            }
            return known.contains("*") ? "*" : names.joined(separator: ", ")
        }

        /// Removes all fields of this name.
        public func remove(_ name: String) {
            if !response.isBegun { response.packed.remove(name) }
        }

        /// The values of all fields of this name, in order.
        public func all(_ name: String) -> [String] {
            let wanted = name.lowercased()
            return all.filter { $0.name.lowercased() == wanted }.map(\.value)
        }

        /// All fields, in order.
        public var all: [(name: String, value: String)] { response.packed.all }
    }
}
