internal import Synchronization

/// A function that may be installed while the process runs. While there is none, reading it costs one load.
final class Installed<Function: Sendable>: Sendable {
    private let current = Lock<Function?>(nil)
    private let isInstalled = Atomic(false)

    /// The installed function.
    var function: Function? { isInstalled.load(ordering: .acquiring) ? current.withLock { $0 } : nil }

    /// Installs a function instead of the one before; `nil` removes that.
    func install(_ function: Function?) {
        if function == nil { isInstalled.store(false, ordering: .releasing) }
        current.withLock { $0 = function }
        if function != nil { isInstalled.store(true, ordering: .releasing) }
    }
}
