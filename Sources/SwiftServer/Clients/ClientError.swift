internal import CReactor
internal import Glibc

/// Why a ``Client``, a ``BlockingWebSocket``, a ``WebSocketClient`` or an ``HTTPClient`` failed.
public struct ClientError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        let name: String

        /// Nobody listens at the address.
        public static let refused = Code(name: "refused")
        /// The operation took longer than its time limit.
        public static let timedOut = Code(name: "timedOut")
        /// The host name does not exist, or could not be looked up.
        public static let unknownHost = Code(name: "unknownHost")
        /// The connection is closed, or the other side has ended it without a proper close.
        public static let closed = Code(name: "closed")
        /// TLS failed, for example because the certificate is not trusted; the message has the cause.
        public static let tls = Code(name: "tls")
        /// The server refused the WebSocket handshake; see ``ClientError/status``.
        public static let handshake = Code(name: "handshake")
        /// The other side sent something that its protocol does not allow, such as a packet above the limit.
        public static let protocolError = Code(name: "protocolError")
        /// The message is not valid for its kind, or longer than the limit.
        public static let invalidMessage = Code(name: "invalidMessage")
        /// A body is larger than its limit; the message names it.
        public static let tooLarge = Code(name: "tooLarge")
        /// The server redirects more often than ``HTTPClientSettings/maxRedirects``, or to something that cannot be
        /// requested.
        public static let redirect = Code(name: "redirect")
        /// The proxy refused to connect to the server; see ``ClientError/status``.
        public static let proxy = Code(name: "proxy")
        /// More requests wait for a connection than ``HTTPClientSettings/maxWaiting``.
        public static let busy = Code(name: "busy")
        /// An argument is invalid; the message names it.
        public static let invalidArgument = Code(name: "invalidArgument")
        /// The system refused something: an unreachable network, no descriptors, no memory.
        public static let system = Code(name: "system")

        /// The name of the code.
        public var description: String { name }
    }

    /// The kind of the error.
    public let code: Code
    /// One line that names the cause.
    public let message: String
    /// The HTTP status with which a server refused a WebSocket handshake, or a proxy a connection.
    public let status: Int?
    /// The error of the C core; 0: none.
    let cause: Int32

    /// Code and message.
    public var description: String { "\(code): \(message)" }

    init(_ code: Code, _ message: String, status: Int? = nil, cause: Int32 = 0) {
        self.cause = cause
        self.code = code
        self.message = message
        self.status = status
    }

    /// - Parameters:
    ///   - action: what failed, as in "cannot connect to localhost:80".
    ///   - error: a negative error of the C core.
    ///   - detail: a more precise cause than the error's own text.
    init(_ action: String, _ error: Int32, detail: String = "", status: Int? = nil) {
        var cause = detail.isEmpty ? errorText(error) : detail
        if let status { cause += " but with status \(status)" }
        self.init(ClientError.code(of: error), "\(action): \(cause)", status: status, cause: error)
    }

    static func argument(_ message: String) -> ClientError { ClientError(.invalidArgument, message) }

    private static func code(of error: Int32) -> Code {
        switch error {
        case -ECONNREFUSED, -ENOENT: .refused
        case -ETIMEDOUT: .timedOut
        case CRE_EHOST_UNKNOWN.rawValue, CRE_EHOST_LOOKUP.rawValue: .unknownHost
        case CRE_EGONE.rawValue, CRE_EHTTP2_REFUSED.rawValue, CRE_EHTTP2_RESET.rawValue, -ECONNRESET, -EPIPE: .closed
        case CRE_ETLS.rawValue, CRE_ETLS_CONFIG.rawValue: .tls
        case CRE_EINVALID.rawValue, -ENAMETOOLONG: .invalidArgument
        case CRE_EPROXY.rawValue: .proxy
        case CRE_EHTTP_HANDSHAKE_EXTENSION.rawValue...CRE_EHTTP_HANDSHAKE_METHOD.rawValue: .handshake
        case CRE_EWS_EXTENSION.rawValue, CRE_EHTTP2_CONNECT.rawValue: .handshake
        case CRE_EFRAMING_MQTT.rawValue...CRE_EWS_RSV.rawValue: .protocolError
        default: .system
        }
    }
}
