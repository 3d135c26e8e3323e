internal import CReactor
internal import CReactorInternal

/// The shared memory of all processes of one server: rings and the connection table. Made before the first fork.
@safe final class Bus: Sendable {
    // Both are set once; the C functions used from several threads say "any thread".
    nonisolated(unsafe) let raw: OpaquePointer
    nonisolated(unsafe) let table: OpaquePointer

    init(_ config: cre_bus_config) throws(ServerError) {
        var config = config
        var bus: OpaquePointer?
        let result = unsafe cre_bus_create(&config, &bus)
        guard result == 0, let bus = unsafe bus else { throw .system("making shared memory", result) }
        unsafe raw = bus
        unsafe table = cre_bus_table(bus)
    }

    /// That of the server whose process this program continues.
    init(attaching descriptors: [Int32], _ config: cre_bus_config) throws(ServerError) {
        var config = config
        var bus: OpaquePointer?
        let result = unsafe descriptors.withUnsafeBufferPointer {
            unsafe cre_bus_attach(&config, $0.baseAddress, $0.count, &bus)
        }
        guard result == 0, let bus = unsafe bus else { throw .system("joining the running server", result) }
        unsafe raw = bus
        unsafe table = cre_bus_table(bus)
    }

    /// By which a new program finds it.
    var descriptors: [Int32] {
        let count = unsafe cre_bus_descriptors(raw, nil, 0)
        return unsafe [Int32](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = unsafe cre_bus_descriptors(raw, buffer.baseAddress, buffer.count)
        }
    }

    /// Only the process that runs `start()` gets here, at its end: children leave without unwinding.
    deinit { unsafe cre_bus_destroy(raw) }

    func pid(ofNode node: Int) -> Int32 { unsafe cre_bus_pid(raw, UInt32(node)) }

    /// Before a successor of a dead worker is started.
    func forget(node: Int) { unsafe cre_bus_forget(raw, UInt32(node)) }
}

extension Bus {
    /// Whether the connection is an open WebSocket.
    func isOpen(_ fd: ConnectionID) -> Bool {
        unsafe cre_table_state(table, fd.rawValue) == Int32(CRE_CONNECTION_OPEN.rawValue)
    }
}
