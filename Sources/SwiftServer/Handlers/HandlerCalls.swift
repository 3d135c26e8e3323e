/// Handlers that a task calls itself, with their arguments: no closure is made for an event.
///
/// A task that takes counted arguments apart looks up its executor before that, which costs more than many handlers do.
/// So the runner keeps what the handler of a request gets, and its task is lent that.
extension HandlerRunners {
    /// A handler of requests, also a straight-line one, or a function of middleware with what is behind it.
    ///
    /// The second argument of its function is an object of a higher layer, and the third one a word that is kept here:
    /// both have the layout of an integer.
    @safe final class AsyncHandler: @unchecked Sendable {
        // `@unchecked`: immutable, and the function is called on the main actor.
        typealias Handler = @MainActor (LentRequest, UInt) async throws -> Void
        typealias Middleware = @MainActor (LentRequest, UInt, UInt) async throws -> Void

        enum Form {
            case handler(Handler)
            case middleware(Middleware, rest: UInt)
        }

        private struct Typed<S: AnyObject> { let call: @MainActor (Request, S) async throws -> Void }
        private struct Plain { let call: Handler }
        struct PlainMiddleware { let call: Middleware }

        let form: Form
        private let rest: (any Sendable)?

        init<S: AnyObject & Sendable>(_ handler: @escaping @MainActor (Request, S) async throws -> Void) {
            form = unsafe .handler(unsafeBitCast(Typed(call: handler), to: Plain.self).call)
            rest = nil
        }

        /// - Parameters:
        ///   - middleware: the function, in a structure that was cast. A generic one would pass the third argument by
        ///     its address.
        ///   - rest: what is behind it.
        ///   - word: the same as an integer.
        init(_ middleware: PlainMiddleware, _ rest: any Sendable, as word: UInt) {
            form = .middleware(middleware.call, rest: word)
            self.rest = rest
        }
    }

    /// What the handler of a request gets, while its runner keeps it.
    struct LentArguments {
        let request: LentRequest
        /// The response, or the WebSocket of a straight-line handler.
        let object: UInt

        @inline(__always) init(_ request: borrowing Request, _ object: AnyObject) {
            self.request = LentRequest(request)
            self.object = unsafe UInt(bitPattern: Unmanaged.passUnretained(object).toOpaque())
        }
    }

    /// A function that handles messages. The server that it gets is any object here.
    @safe struct MessageFunction: Sendable {
        private struct Typed<S: AnyObject> { let call: @MainActor (S, Frame) async throws -> Void }
        /// It gets the frame as a ``LentFrame``.
        struct Plain { let call: @MainActor (AnyObject, LentFrame) async throws -> Void }

        let call: @MainActor (AnyObject, Frame) async throws -> Void
        fileprivate var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }

        /// A reference to an object of a class has the layout of one to any object.
        init<S: AnyObject & Sendable>(_ handler: @escaping @MainActor (S, Frame) async throws -> Void) {
            self = unsafe unsafeBitCast(Typed(call: handler), to: MessageFunction.self)
        }
    }

    /// The handler of messages, with the server that it gets. All messages of a port have the same one.
    struct MessageCall: @unchecked Sendable {
        // `@unchecked`: the server is Sendable.
        let function: MessageFunction.Plain
        let server: AnyObject

        init(_ function: MessageFunction, _ server: AnyObject) {
            self.function = function.plain
            self.server = server
        }
    }
}
