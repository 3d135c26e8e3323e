/// The timers that ``Loop`` uses in this process.
enum ProcessTimers {
    // Changed by the thread that runs the program's main actor.
    private static nonisolated(unsafe) var worker: Timers?
    private static nonisolated(unsafe) var running = false

    /// Those of the process as one that runs handlers; `nil` in others.
    static var ofWorker: Timers? {
        get { unsafe worker }
        set { unsafe worker = newValue }
    }

    /// Those of a program without a server.
    static let ofScript = Timers(loop: nil)

    /// Whether ``Loop/run()`` runs.
    static var isRunning: Bool {
        get { unsafe running }
        set { unsafe running = newValue }
    }

    /// Checks that a server may start, and warns of timers that it does not run.
    static func checkStart() throws(ServerError) {
        guard !isRunning else {
            throw ServerError(
                code: .alreadyStarted, message: "cannot start a server inside Loop.run(): start it after that returned")
        }
        let count = ofScript.count
        guard count > 0 else { return }
        Log.warning(
            """
            \(count == 1 ? "1 pending timer" : "\(count) pending timers") of Loop cannot fire while the server runs: \
            start timers in onWorkerStart, or call Loop.run() before start()
            """)
    }
}
