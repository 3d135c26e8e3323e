/// Why an upload (`multipart/form-data`) was refused. A handler that does not catch it answers with ``status``: 400,
/// 413 or 415.
public enum MultipartError: RequestError, Sendable, Hashable {
    /// The body has another type.
    case notMultipart
    /// The body is malformed.
    case malformed
    /// The body has ended before the last part was complete.
    case incomplete
    /// There are more parts than ``MultipartLimits/parts``, or the head of one has more than 2048 bytes.
    case tooManyParts
    /// A part is larger than ``MultipartLimits/partSize``, or than the limit of the call; the name of the part.
    case partTooLarge(String)
    /// All parts together are larger than ``MultipartLimits/totalSize``.
    case bodyTooLarge
    /// The part was left behind: the next one was taken, or this one was read before.
    case partIsGone(String)

    /// 415 for another type, 413 when a limit was exceeded, else 400.
    public var status: Int {
        switch self {
        case .notMultipart: 415
        case .tooManyParts, .partTooLarge, .bodyTooLarge: 413
        case .malformed, .incomplete, .partIsGone: 400
        }
    }

    /// The cause in one line.
    public var message: String {
        switch self {
        case .notMultipart: "the body must be multipart/form-data"
        case .malformed: "the multipart body is malformed"
        case .incomplete: "the multipart body ended early"
        case .tooManyParts: "the multipart body has too many parts, or a part has a head that is too long"
        case .partTooLarge: "a part of the multipart body is too large"
        case .bodyTooLarge: "the multipart body is too large"
        case .partIsGone: "a part of the multipart body was read twice"
        }
    }
}

/// Limits of an upload.
public struct MultipartLimits: Sendable, Hashable {
    /// The maximum number of parts. Default: 100.
    public var parts: Int
    /// The maximum size of one part, in bytes. Default: 8 MiB.
    public var partSize: Int
    /// The maximum size of all parts together, in bytes. Default: 64 MiB.
    public var totalSize: Int

    /// Makes limits; see the properties.
    public init(parts: Int = 100, partSize: Int = 8 << 20, totalSize: Int = 64 << 20) {
        self.parts = parts
        self.partSize = partSize
        self.totalSize = totalSize
    }
}
