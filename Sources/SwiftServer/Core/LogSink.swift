/// A function that receives the lines of this process's log in place of standard error or the log file: for bridges to
/// other logging systems. Processes that are forked inherit it.
package enum LogSink {
    /// Receives the level, the role of the process, such as "worker 3", and the message. It runs on any thread.
    package typealias Function = @Sendable (LogLevel, _ role: String, _ message: String) -> Void

    private static let installed = Installed<Function>()

    /// Installs a function instead of the one before; `nil`: lines go to standard error or the log file again.
    package static func install(_ function: Function?) { installed.install(function) }

    /// The installed function.
    static var function: Function? { installed.function }
}
