/// Middleware with settings that `start()` checks and files that it opens.
protocol ConfiguredMiddleware: Middleware {
    /// Why it cannot be used: "cannot use CORS: origins must ..."; `nil`: it can.
    var problem: String? { get }
    /// The file that it writes to.
    var logChannel: LogChannel? { get }
}

extension ConfiguredMiddleware {
    var logChannel: LogChannel? { nil }
}
