internal import CReactor
internal import CReactorInternal

/// The shared memory of all processes of one server: rings and the connection table. Created before the first fork.
@safe final class Bus: Sendable {
    // Both are set once; the C functions used from several threads are documented for any thread.
    nonisolated(unsafe) let raw: OpaquePointer
    nonisolated(unsafe) let table: OpaquePointer

    init(_ config: cre_bus_config) throws(ServerError) {
        var config = config
        var bus: OpaquePointer?
        let result = unsafe cre_bus_create(&config, &bus)
        guard result == 0, let bus = unsafe bus else { throw .system("cannot create shared memory", result) }
        unsafe raw = bus
        unsafe table = cre_bus_table(bus)
    }

    /// Attaches to the shared memory of a running server.
    init(attaching descriptors: [Int32], _ config: cre_bus_config) throws(ServerError) {
        var config = config
        var bus: OpaquePointer?
        let result = unsafe descriptors.withUnsafeBufferPointer {
            unsafe cre_bus_attach(&config, $0.baseAddress, $0.count, &bus)
        }
        guard result == 0, let bus = unsafe bus else { throw .system("cannot join the running server", result) }
        unsafe raw = bus
        unsafe table = cre_bus_table(bus)
    }

    /// The descriptors by which a new program attaches.
    var descriptors: [Int32] {
        let count = unsafe cre_bus_descriptors(raw, nil, 0)
        return unsafe [Int32](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = unsafe cre_bus_descriptors(raw, buffer.baseAddress, buffer.count)
        }
    }

    /// Runs only in the process that called `start()`: all others exit without unwinding.
    deinit { unsafe cre_bus_destroy(raw) }

    /// The log level that was set for all processes while the server runs; `nil`: none was. Any process, any thread.
    var logLevel: LogLevel? {
        get { LogLevel(rawValue: Int(unsafe cre_bus_log_level(raw)) - 1) }
        set { unsafe cre_bus_set_log_level(raw, newValue.map { UInt32($0.rawValue + 1) } ?? 0) }
    }

    func pid(ofNode node: Int) -> Int32 { unsafe cre_bus_pid(raw, UInt32(node)) }

    /// Forgets a dead process, before its successor is started.
    func forget(node: Int) { unsafe cre_bus_forget(raw, UInt32(node)) }

    /// Has the process of a node take a turn of its loop.
    func wake(node: Int) { unsafe cre_bus_wake(raw, UInt32(node)) }

    /// Counts a connection that this process, that of `node`, had to refuse, or, unless it was `refused`, a pause of
    /// accepting.
    func countAcceptFailure(node: Int, _ error: Int32, refused: Bool) {
        unsafe cre_bus_count_accept_failure(raw, UInt32(node), error, refused)
    }
}

extension Bus {
    /// Whether the connection is an open WebSocket. Any process, any thread.
    func isOpen(_ fd: ConnectionID) -> Bool { state(of: fd) == Int32(CRE_CONNECTION_OPEN.rawValue) }

    /// Whether the connection is one of a `.tcp` port. Any process, any thread.
    func isStream(_ fd: ConnectionID) -> Bool { state(of: fd) == Int32(CRE_CONNECTION_STREAM.rawValue) }

    /// Whether there is such a connection. Any process, any thread.
    func exists(_ fd: ConnectionID) -> Bool { state(of: fd) != 0 }

    /// The node of the worker that serves the connection, `nil` when there is no such connection.
    func worker(of fd: ConnectionID) -> Int? {
        var info = cre_connection_info()
        return unsafe cre_table_get_info(table, fd.rawValue, &info, MemoryLayout<cre_connection_info>.size)
            ? Int(info.worker) : nil
    }

    private func state(of fd: ConnectionID) -> Int32 { unsafe cre_table_state(table, fd.rawValue) }
}

/// The report of a process that has found its part of the shared memory overwritten.
enum BusRepair {
    static func message(_ count: UInt64) -> String {
        "another process has overwritten \(count) values of this one in shared memory; they were restored"
    }
}
