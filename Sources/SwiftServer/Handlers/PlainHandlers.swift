/// Handlers of frequent events as plain functions. This is ``MainLoop`` without the functions that adapt one calling
/// convention to another, which a generic cast adds to each call.
///
/// A structure with a `@MainActor` function has the layout of one with the plain function.
enum PlainHandlers {
    /// The server that the handler gets is any object here: a reference to an object of a class has the layout of one
    /// to any object.
    struct Message {
        private struct Typed<S: AnyObject> {
            let call: @MainActor (S, Frame) throws -> Void
        }
        /// It gets the frame as a ``LentFrame``.
        struct Plain {
            let call: (AnyObject, LentFrame) throws -> Void
        }
        let call: @MainActor (AnyObject, Frame) throws -> Void

        init<S: AnyObject>(_ handler: @escaping @MainActor (S, Frame) throws -> Void) {
            self = unsafe unsafeBitCast(Typed(call: handler), to: Message.self)
        }

        @inline(__always) var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }
    }

    /// The server is any object here, too.
    struct MessageSpan {
        private struct Typed<S: AnyObject> {
            let call: @MainActor (S, ConnectionID, Opcode, RawSpan) throws -> Void
        }
        struct Plain {
            let call: (AnyObject, ConnectionID, Opcode, RawSpan) throws -> Void
        }
        let call: @MainActor (AnyObject, ConnectionID, Opcode, RawSpan) throws -> Void

        init<S: AnyObject>(_ handler: @escaping @MainActor (S, ConnectionID, Opcode, RawSpan) throws -> Void) {
            self = unsafe unsafeBitCast(Typed(call: handler), to: MessageSpan.self)
        }

        @inline(__always) var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }
    }

    struct Receive<S: AnyObject> {
        struct Plain {
            let call: (S, ConnectionID, [UInt8]) throws -> Void
        }
        let call: @MainActor (S, ConnectionID, [UInt8]) throws -> Void

        @inline(__always) var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }
    }

    struct ReceiveSpan<S: AnyObject> {
        struct Plain {
            let call: (S, ConnectionID, RawSpan) throws -> Void
        }
        let call: @MainActor (S, ConnectionID, RawSpan) throws -> Void

        @inline(__always) var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }
    }

    /// What is called when the handler of a request has ended, with the object that it had. Returns whether it has
    /// answered, so that its task may serve the next request.
    struct Served {
        struct Plain {
            let call: (consuming AnyObject, HandlerRunners.Runner, (any Error)?) -> Bool
        }
        let call: @MainActor (consuming AnyObject, HandlerRunners.Runner, (any Error)?) -> Bool

        @inline(__always) var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }
    }
}
