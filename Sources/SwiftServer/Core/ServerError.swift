internal import CReactor

/// An error of starting or using a server.
public struct ServerError: Error, Sendable, CustomStringConvertible {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        let name: String

        /// A setting has an invalid value; the message names it.
        public static let invalidSetting = Code(name: "invalidSetting")
        /// A required handler is missing; the message names it.
        public static let missingHandler = Code(name: "missingHandler")
        /// A handler can never be called: its event does not exist, its port does not have the event, or it takes other
        /// values; the message names it.
        public static let invalidHandler = Code(name: "invalidHandler")
        /// The pattern of a route is malformed, or two routes are the same; the message names them.
        public static let invalidRoute = Code(name: "invalidRoute")
        /// `onWorkerStart` has thrown an error in ``ServerMode/single``; the message has its text.
        public static let handlerFailed = Code(name: "handlerFailed")
        /// An address cannot be bound: it is in use, not an address of this machine, or not permitted.
        public static let bindFailed = Code(name: "bindFailed")
        /// A certificate, a key or a setting of TLS cannot be used; the message names the file and the cause.
        public static let tls = Code(name: "tls")
        /// The PID file is locked by a running server, or cannot be written; the message names both.
        public static let pidFile = Code(name: "pidFile")
        /// Other threads are running, so the process cannot be forked safely.
        public static let threadsRunning = Code(name: "threadsRunning")
        /// `start()` was called before, or another server is running in this process.
        public static let alreadyStarted = Code(name: "alreadyStarted")
        /// The system refused a resource that the server needs: memory, a process, a descriptor.
        public static let system = Code(name: "system")

        /// The name of the code.
        public var description: String { name }
    }

    /// The kind of the error.
    public let code: Code
    /// One line that names the cause.
    public let message: String

    /// Code and message.
    public var description: String { "\(code): \(message)" }

    /// - Parameters:
    ///   - failure: the action that failed, as "cannot <verb> <object>".
    ///   - error: a negative error of the C core.
    static func system(_ failure: String, _ error: Int32) -> ServerError {
        ServerError(code: .system, message: "\(failure): \(errorText(error))")
    }

    static func setting(_ message: String) -> ServerError { ServerError(code: .invalidSetting, message: message) }
}

/// Returns the message of a negative error of the C core.
func errorText(_ error: Int32) -> String {
    unsafe String(cString: cre_error_message(error))
}
