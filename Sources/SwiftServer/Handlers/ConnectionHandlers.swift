/// The user's handlers in the one form in which a worker calls them. What differs between synchronous and asynchronous
/// ones, or between the forms a payload can take, was settled when they were registered.
@safe struct Handlers: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    var start: ((Server) -> Void)?
    var shutdown: ((Server) -> Void)?
    var managerStart: ((Server) -> Void)?
    var managerStop: ((Server) -> Void)?
    var workerStart: ((WorkerRuntime) -> Void)?
    var workerStop: ((WorkerRuntime) -> Void)?
    var workerExit: ((WorkerRuntime) -> Void)?
    var workerError: ((Server, WorkerFailure) -> Void)?
    var beforeShutdown: ((Server) -> Void)?
    var beforeReload: ((Server) -> Void)?
    var afterReload: ((Server) -> Void)?
    var task: ((WorkerRuntime, ServerTask) -> Void)?
    var finish: ((WorkerRuntime, TaskID, [UInt8]) -> Void)?
    var taskError: ((WorkerRuntime, TaskID, TaskError) -> Void)?
    var pipeMessage: ((WorkerRuntime, Int, [UInt8]) -> Void)?
    var processes: [(name: String, body: (WorkerRuntime) -> Void)] = []
    var open: ((WorkerRuntime, Request) -> Void)?
    var message: ((WorkerRuntime, ConnectionID, Opcode, UnsafeRawBufferPointer) -> Void)?
    var close: ((WorkerRuntime, ConnectionID, CloseReason) -> Void)?
    var request: ((WorkerRuntime, Request) -> Void)?
    var connect: ((WorkerRuntime, ConnectionID) -> Void)?
    var receive: ((WorkerRuntime, ConnectionID, UnsafeRawBufferPointer) -> Void)?
    var packet: ((WorkerRuntime, SocketAddress, UnsafeRawBufferPointer) -> Void)?

    /// These, and where there is none the server's.
    func orElse(_ main: Handlers) -> Handlers {
        var all = self
        all.open = open ?? main.open
        unsafe all.message = unsafe message ?? main.message
        all.close = close ?? main.close
        all.request = request ?? main.request
        all.connect = connect ?? main.connect
        unsafe all.receive = unsafe receive ?? main.receive
        unsafe all.packet = unsafe packet ?? main.packet
        return all
    }
}

// A synchronous handler as a plain function. It says that it runs on the main actor, and it does: a worker's loop is the
// main actor's executor, and all handlers are called by it. So the cast only leaves out the check.

@inline(__always) func onLoop<A>(_ handler: @escaping @MainActor (A) -> Void) -> (A) -> Void {
    unsafe unsafeBitCast(handler, to: ((A) -> Void).self)
}

@inline(__always) func onLoop<A, B>(_ handler: @escaping @MainActor (A, B) -> Void) -> (A, B) -> Void {
    unsafe unsafeBitCast(handler, to: ((A, B) -> Void).self)
}

@inline(__always) func onLoop<A, B, C>(_ handler: @escaping @MainActor (A, B, C) -> Void) -> (A, B, C) -> Void {
    unsafe unsafeBitCast(handler, to: ((A, B, C) -> Void).self)
}
