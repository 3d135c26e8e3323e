internal import CReactor
internal import Glibc

extension Response {
    /// Adds the validators `ETag` and `Last-Modified`, and checks the request's conditions against them: `If-Match`,
    /// `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since`, in the order of RFC 9110.
    ///
    /// ```swift
    /// server.get("/article") { request, response in
    ///     guard response.meetsConditions(of: request, entityTag: "\"\(article.version)\"") else { return }
    ///     response.end(article.text)
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - entityTag: the tag of the current version, with its quotes: `"v1"`, or `W/"v1"` for a version whose bytes
    ///     may differ. A tag that is not valid is not sent, logged as an error, and matches nothing.
    ///   - lastModified: the time of the last change, in seconds since 1970. A time of the future counts as now.
    ///   - exists: false when the request would create the resource: then `If-Match` fails, and `If-None-Match: *`
    ///     holds.
    /// - Returns: true when the handler should carry the request out; false when the response was sent, with status 304
    ///   or 412, or had begun before.
    public func meetsConditions(
        of request: Request, entityTag: String? = nil, lastModified: Double? = nil, exists: Bool = true
    ) -> Bool {
        guard !isBegun else { return false }
        var current = Preconditions.Representation(exists: exists)
        if let entityTag {
            if EntityTag.isValid(entityTag) {
                current.entityTag = entityTag
                headers["ETag"] = entityTag
            } else {
                Log.error("entityTag must be \"text\" or W/\"text\" with its quotes, got \(entityTag)")
            }
        }
        if let lastModified, lastModified >= 0, lastModified < Double(Int64.max) {
            // A date of the future would be invalid: then it is the current one (RFC 9110, section 8.8.2.1).
            let seconds = min(Int64(lastModified), Int64(time(nil)))
            current.lastModified = seconds
            headers["Last-Modified"] = Response.date(seconds)
        }
        switch Preconditions(request).decide(method: request.method, current) {
        case .proceed: return true
        case .notModified:
            status(304)
            dropRepresentation()
            end()
        case .failed:
            status(412)
            endWithReason()
        }
        return false
    }

    /// The date as HTTP writes it: "Sun, 06 Nov 1994 08:49:37 GMT".
    static func date(_ seconds: Int64) -> String {
        unsafe String(unsafeUninitializedCapacity: Int(CRE_HTTP_DATE_LENGTH)) { room in
            unsafe room.withMemoryRebound(to: CChar.self) { unsafe cre_http_date($0.baseAddress, seconds) }
            return Int(CRE_HTTP_DATE_LENGTH)
        }
    }
}
