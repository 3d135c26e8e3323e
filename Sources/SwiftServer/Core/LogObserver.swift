internal import Synchronization

/// A function that receives the messages of this process's log, of all levels: for tests.
package enum LogObserver {
    package typealias Function = @Sendable (LogLevel, String) -> Void

    private static let current = Lock<Function?>(nil)
    private static let isInstalled = Atomic(false)

    package static func install(_ function: @escaping Function) {
        current.withLock { $0 = function }
        isInstalled.store(true, ordering: .releasing)
    }

    package static func remove() {
        isInstalled.store(false, ordering: .releasing)
        current.withLock { $0 = nil }
    }

    /// The installed function.
    static var function: Function? {
        isInstalled.load(ordering: .acquiring) ? current.withLock { $0 } : nil
    }
}
