/// A function that receives the messages of this process's log, of all levels: for tests.
package enum LogObserver {
    package typealias Function = @Sendable (LogLevel, String) -> Void

    private static let installed = Installed<Function>()

    package static func install(_ function: @escaping Function) { installed.install(function) }

    package static func remove() { installed.install(nil) }

    /// The installed function.
    static var function: Function? { installed.function }
}
