/// The common part of shared tables, atomics and locks.
enum Shared {
    /// Creates an object, or throws its error. Logs a warning when it is created too late to be shared.
    static func made(
        _ what: String, _ make: (inout OpaquePointer?) -> Int32
    ) throws(SharedMemoryError) -> OpaquePointer {
        var raw: OpaquePointer?
        let result = unsafe make(&raw)
        guard result == 0, let raw = unsafe raw else { throw SharedMemoryError(result, "cannot create a \(what)") }
        if RunningServer.exists {
            Log.warning("a \(what) created after start() is not shared with other processes; create it before")
        }
        return unsafe raw
    }
}
