/// Whether a server runs in this process, or in one that it was forked from.
enum RunningServer {
    // Changed by the main thread, in `start()`.
    private static nonisolated(unsafe) var value = false

    static var exists: Bool {
        get { unsafe value }
        set { unsafe value = newValue }
    }
}
