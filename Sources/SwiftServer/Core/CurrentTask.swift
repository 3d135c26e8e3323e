internal import CExecutorHook

/// The task that runs, by its address: to ask `Task.isCancelled` counts references.
struct CurrentTask: Equatable {
    /// 0: a runtime that names none, or not begun.
    private let name: UInt

    @inline(__always) init() { name = ceh_current_task() }
    init(name: UInt) { self.name = name }

    @inline(__always) var isKnown: Bool { name != 0 }

    /// Whether the task is cancelled. Only the task itself asks.
    @inline(__always) var isCancelled: Bool { isKnown ? ceh_is_cancelled(name) : Task.isCancelled }
}
