internal import CReactor

extension Response {
    /// The kind of a redirect, by what the client does next.
    public enum Redirect: Int, Sendable, Hashable, CaseIterable {
        /// 301: the resource has a new place for good. Most clients change POST to GET.
        case moved = 301
        /// 302: the resource is elsewhere for now. Most clients change POST to GET.
        case found = 302
        /// 303: the answer is another page, which is read by GET: after a form was accepted.
        case seeOther = 303
        /// 307: the resource is elsewhere for now; the method stays.
        case temporary = 307
        /// 308: the resource has a new place for good; the method stays.
        case permanent = 308
    }

    /// Sends a redirect and ends the response.
    ///
    /// Characters that may not be part of a URL are percent-encoded. Never pass a target that the client has chosen
    /// without checking that it is one of yours: a link to your site could lead anywhere ("open redirect"). Note that
    /// "//host" and "/\host" are other hosts, too.
    ///
    /// - Parameters:
    ///   - target: a URL, or a path of this server.
    ///   - kind: the status; default: 303 See Other, after which the client sends GET.
    /// - Returns: ``ResponseResult/invalid`` for an empty target or one with control characters,
    ///   ``ResponseResult/full`` for one that is too long, ``ResponseResult/begun`` or ``ResponseResult/ended``;
    ///   nothing is sent then.
    @discardableResult public func redirect(to target: String, _ kind: Redirect = .seeOther) -> ResponseResult {
        guard let location = Response.location(target) else { return .invalid }
        let result = headers.set("Location", location)
        guard result.isAccepted else { return result }
        status(kind.rawValue)
        return end()
    }

    /// The target as it may be sent; `nil` for one that must not be.
    nonisolated static func location(_ target: String) -> String? {
        guard !target.isEmpty, target.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        var location: [UInt8] = []
        for byte in target.utf8 {
            if byte > 0x20, byte < 0x7F, !"\"<>\\^`{|}".utf8.contains(byte) {
                location.append(byte)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                location += [UInt8](("%" + (byte < 16 ? "0" : "") + digits).utf8)
            }
        }
        return String(decoding: location, as: UTF8.self)
    }

    /// The usual phrase of a status, like "Not Found"; "Unknown" for a status without one.
    public nonisolated static func reasonPhrase(of status: Int) -> String {
        unsafe String(cString: cre_http_reason(Int32(clamping: status)))
    }
}
