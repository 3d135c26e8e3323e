internal import CReactor

/// Why a server could not be started, or a call could not be carried out.
public struct ServerError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        let name: String

        /// A setting has a value that makes no sense; the message names it.
        public static let invalidSetting = Code(name: "invalidSetting")
        /// A handler that this server cannot do without is missing; the message names it.
        public static let missingHandler = Code(name: "missingHandler")
        /// The address could not be bound: in use, not of this machine, or not permitted.
        public static let bindFailed = Code(name: "bindFailed")
        /// A certificate, a key or a setting of TLS cannot be used; the message names the file and the cause.
        public static let tls = Code(name: "tls")
        /// The PID file is held by a server that runs, or cannot be written; the message names both.
        public static let pidFile = Code(name: "pidFile")
        /// Threads run already, so the process cannot be forked safely.
        public static let threadsRunning = Code(name: "threadsRunning")
        /// `start()` was called before, or another server runs in this process.
        public static let alreadyStarted = Code(name: "alreadyStarted")
        /// The system refused something that the server needs: memory, a process, a descriptor.
        public static let system = Code(name: "system")

        /// The name of the code.
        public var description: String { name }
    }

    /// What kind of error it is.
    public let code: Code
    /// One line for people, which names the cause.
    public let message: String

    /// Code and message.
    public var description: String { "\(code): \(message)" }

    static func system(_ doing: String, _ error: Int32) -> ServerError {
        ServerError(code: .system, message: "\(doing): \(errorText(error))")
    }
}

/// The text of a negative error of the C core.
func errorText(_ error: Int32) -> String {
    unsafe String(cString: cre_error_message(error))
}
