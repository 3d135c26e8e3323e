internal import CReactor

/// The result of a command to a connection: to close, pause, resume, exempt or bind it. A client may leave at any time,
/// so this is a result and not an error.
///
/// ```swift
/// if server.close(fd).isAccepted { … }      // or shorter: if server.close(fd) { … }
/// if server.bind(fd, to: user) == .bound { … }
/// ```
public struct CommandResult: Sendable, Hashable, CustomStringConvertible {
    private enum Code: String { case done, queued, closed, bound, notWebSocket, invalid, full, notInWorker }
    private let code: Code

    private init(_ code: Code) { self.code = code }

    /// The command was executed.
    public static var done: CommandResult { CommandResult(.done) }
    /// The command is on its way to the process that owns the connection, or to the thread of the handlers.
    public static var queued: CommandResult { CommandResult(.queued) }
    /// There is no such connection, or it is being closed.
    public static var closed: CommandResult { CommandResult(.closed) }
    /// The connection has a user already, which stays.
    public static var bound: CommandResult { CommandResult(.bound) }
    /// The connection is no open WebSocket.
    public static var notWebSocket: CommandResult { CommandResult(.notWebSocket) }
    /// A value is not permitted: a close code that may not be sent, a user's number that is not
    /// 1...4,294,967,295, or a user's name that is not 1 to 245 bytes.
    public static var invalid: CommandResult { CommandResult(.invalid) }
    /// There is no room for the command on its way to another process. Try again later.
    public static var full: CommandResult { CommandResult(.full) }
    /// This process gives no commands: it is the master or the manager, or the server does not run.
    public static var notInWorker: CommandResult { CommandResult(.notInWorker) }

    /// Whether the command was accepted: ``done`` or ``queued``.
    public var isAccepted: Bool { self == .done || self == .queued }

    /// The name of the result.
    public var description: String { code.rawValue }

    /// Translates a result of the C core. `local`: this process owns the connection.
    init(_ result: Int32, local: Bool) {
        self =
            switch result {
            case 0: local ? .done : .queued
            case CRE_EGONE.rawValue: .closed
            case CRE_ESTATE.rawValue: .bound
            case CRE_ENOT_WEBSOCKET.rawValue: .notWebSocket
            case CRE_ELINK_FULL.rawValue, CRE_ELIMIT.rawValue, CRE_ENOMEM.rawValue: .full
            default: .invalid
            }
    }
}
