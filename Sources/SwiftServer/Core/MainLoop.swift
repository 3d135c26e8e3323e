/// Handlers as plain functions.
///
/// A handler is declared `@MainActor`, and a worker's loop is the main actor's executor, so a worker can call it as a
/// plain function: the cast only removes the check. Debug builds keep it.
enum MainLoop {
    /// A function that throws no error: timers, and results of tasks.
    @inline(__always) static func direct<A>(_ function: @escaping @MainActor (A) -> Void) -> (A) -> Void {
        let plain = unsafe unsafeBitCast(function, to: ((A) -> Void).self)
        #if DEBUG
        return { a in
            MainActor.assertIsolated()
            plain(a)
        }
        #else
        return plain
        #endif
    }

    @inline(__always) static func direct<A>(_ handler: @escaping @MainActor (A) throws -> Void) -> (A) throws -> Void {
        let plain = unsafe unsafeBitCast(handler, to: ((A) throws -> Void).self)
        #if DEBUG
        return { a in
            MainActor.assertIsolated()
            try plain(a)
        }
        #else
        return plain
        #endif
    }

    @inline(__always) static func direct<A, B>(_ handler: @escaping @MainActor (A, B) throws -> Void) -> (A, B) throws
        -> Void
    {
        let plain = unsafe unsafeBitCast(handler, to: ((A, B) throws -> Void).self)
        #if DEBUG
        return { a, b in
            MainActor.assertIsolated()
            try plain(a, b)
        }
        #else
        return plain
        #endif
    }

    @inline(__always) static func direct<A, B, C>(
        _ handler: @escaping @MainActor (A, B, C) throws -> Void
    ) -> (A, B, C) throws -> Void {
        let plain = unsafe unsafeBitCast(handler, to: ((A, B, C) throws -> Void).self)
        #if DEBUG
        return { a, b, c in
            MainActor.assertIsolated()
            try plain(a, b, c)
        }
        #else
        return plain
        #endif
    }
}
