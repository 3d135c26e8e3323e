/// Why a body cannot be read.
public enum RequestBodyError: Error, Sendable, Hashable {
    /// The rest will not arrive: the client left, sent malformed data, too much, or nothing for too long; or the
    /// request was answered before, or its worker is being replaced.
    case incomplete
    /// Another reader is waiting for the next piece.
    case readTwice
}
