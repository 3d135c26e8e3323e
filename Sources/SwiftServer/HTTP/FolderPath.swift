internal import CReactor

/// A path beneath a folder, made of a path that a client has sent.
struct FolderPath: Equatable {
    /// Without slashes at its ends; empty: the folder itself.
    var text: String
    /// Whether it was written with a slash at its end.
    let hasSlash: Bool

    /// Takes a decoded path. `nil` for one that must not be looked up: with ".." or ".", a NUL, or more bytes than a
    /// path can have; and unless `dotFiles`, with a name that begins with a dot, except ".well-known" at the beginning.
    init?(_ decoded: String, dotFiles: Bool) {
        let bytes = decoded.utf8
        guard bytes.count < Int(CRE_MAX_PATH), !bytes.contains(0) else { return nil }
        var text = ""
        for name in bytes.split(separator: UInt8(ascii: "/")) {
            if name.first == UInt8(ascii: ".") {
                let isRelative = name.count == 1 || name.count == 2 && name.last == UInt8(ascii: ".")
                let isKnown = text.isEmpty && name.elementsEqual(".well-known".utf8)
                guard !isRelative, dotFiles || isKnown else { return nil }
            }
            if !text.isEmpty { text += "/" }
            text += Substring(name)
        }
        self.text = text
        hasSlash = bytes.last == UInt8(ascii: "/")
    }

    /// The path of a file in this folder.
    func file(_ name: String) -> String { text.isEmpty ? name : text + "/" + name }

    /// The name behind the last dot of the last segment, in lower case; `nil` without one.
    static func suffix(of path: String) -> String? {
        let bytes = path.utf8
        let start = bytes.lastIndex(of: UInt8(ascii: "/")).map { bytes.index(after: $0) } ?? bytes.startIndex
        guard let dot = bytes[start...].lastIndex(of: UInt8(ascii: ".")), dot > start else { return nil }
        return String(path[bytes.index(after: dot)...]).lowercased()
    }
}

extension Request {
    /// The path with its escapes decoded and "." and ".." resolved, as ``FolderPath`` takes it; `nil` when it is
    /// malformed or leads above the root.
    var resolvedPath: String? {
        unsafe withView { view in
            let head = unsafe view.head.pointee
            let length = Int(head.path_length)
            guard length > 0 else { return nil }
            var size: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: length) { out, count in
                size = unsafe out.withMemoryRebound(to: CChar.self) { out in
                    unsafe (view.bytes + Int(head.path)).withMemoryRebound(to: CChar.self, capacity: length) {
                        unsafe cre_http_path_resolve($0, length, out.baseAddress)
                    }
                }
                count = max(0, Int(size))
            }
            return size > 0 ? String(decoding: bytes, as: UTF8.self) : nil
        }
    }

    /// Whether the path as sent ends with a slash.
    var pathHasSlash: Bool {
        unsafe withView { view in
            let head = unsafe view.head.pointee
            let end = Int(head.path) + Int(head.path_length)
            return unsafe head.path_length > 0 && view.bytes[end - 1] == UInt8(ascii: "/")
        }
    }

    /// Whether the path as sent begins with these bytes.
    func pathBegins(with prefix: [UInt8]) -> Bool {
        unsafe withView { view in
            let head = unsafe view.head.pointee
            guard Int(head.path_length) >= prefix.count else { return false }
            return unsafe UnsafeBufferPointer(start: view.bytes + Int(head.path), count: prefix.count)
                .elementsEqual(prefix)
        }
    }
}

/// Texts in URLs and pages.
enum Escaped {
    /// The text as a path in a URL: all bytes but letters, digits, "-._~" and "/" are escaped.
    static func path(_ text: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                out.append(byte)
            default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The text in HTML, also in an attribute.
    static func html(_ text: String) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }
}
