/// Handlers as plain functions.
///
/// A handler is declared `@MainActor`, and a worker's loop is the main actor's executor, so a worker can call it as a
/// plain function: the cast only removes the check. Debug builds keep it.
enum MainLoop {
    @inline(__always) static func direct<A>(_ handler: @escaping @MainActor (A) -> Void) -> (A) -> Void {
        let plain = unsafe unsafeBitCast(handler, to: ((A) -> Void).self)
        #if DEBUG
        return { a in
            MainActor.assertIsolated()
            plain(a)
        }
        #else
        return plain
        #endif
    }

    @inline(__always) static func direct<A, B>(_ handler: @escaping @MainActor (A, B) -> Void) -> (A, B) -> Void {
        let plain = unsafe unsafeBitCast(handler, to: ((A, B) -> Void).self)
        #if DEBUG
        return { a, b in
            MainActor.assertIsolated()
            plain(a, b)
        }
        #else
        return plain
        #endif
    }

    @inline(__always) static func direct<A, B, C>(
        _ handler: @escaping @MainActor (A, B, C) -> Void
    ) -> (A, B, C) -> Void {
        let plain = unsafe unsafeBitCast(handler, to: ((A, B, C) -> Void).self)
        #if DEBUG
        return { a, b, c in
            MainActor.assertIsolated()
            plain(a, b, c)
        }
        #else
        return plain
        #endif
    }
}
