/// Users: the WebSockets of one user, on all devices and, in a [cluster](Cluster), on all servers.
///
/// ```swift
/// server.onOpen { server, request in server.bind(request.fd, to: "alice") }
/// server.push("You have mail", toUser: "alice")
/// server.disconnect(user: "alice", code: 4001, reason: "signed out")
/// ```
///
/// A user has a name of 1 to 245 bytes, or a number (``Server/bind(_:to:)->CommandResult``), which is the same user as
/// its decimal digits: `42` is "42". A connection has at most one user, and any number of connections may have the same
/// one. It ends with the connection, and counts for no limit of topics.
///
/// **Order and results** are those of topics (``publish(_:to:except:)-(String,_,_)``): ``PushResult/queued`` does not
/// mean that the user is connected anywhere. ``Cluster/users`` has messages of users kept.
extension WebSocketServer {
    /// Makes an open WebSocket one of the user's. What this worker sends to the user afterwards reaches it. Use
    /// ``Server/bind(_:to:)->CommandResult`` for users with numbers that decide about the worker, too.
    ///
    /// - Returns: ``CommandResult/bound`` where this process owns the connection and it has a user already,
    ///   ``CommandResult/notWebSocket`` unless it is an open WebSocket, ``CommandResult/invalid`` for an empty name or
    ///   a longer one.
    @discardableResult
    public func bind(_ fd: ConnectionID, to user: String) -> CommandResult {
        worker?.bind(fd, to: user) ?? .notInWorker
    }

    /// Ends what `bind` has begun, of a name or a number: the connection has no user any more, and may get another.
    @discardableResult
    public func unbind(_ fd: ConnectionID) -> CommandResult { worker?.unbind(fd) ?? .notInWorker }

    /// Sends a text message to the WebSockets of a user.
    ///
    /// - Parameters:
    ///   - text: the message.
    ///   - user: a name or a number.
    ///   - except: one of the user's connections on this server that does not get the message.
    @discardableResult
    public func push(
        _ text: String, toUser user: some LosslessStringConvertible, except: ConnectionID? = nil
    ) -> PushResult {
        var text = text
        return text.withUTF8 { unsafe send(user, UnsafeRawBufferPointer($0), .text, except) }
    }

    /// Sends a message, binary unless `opcode` says text, to the WebSockets of a user.
    @discardableResult
    public func push(
        _ bytes: [UInt8], toUser user: some LosslessStringConvertible, opcode: Opcode = .binary,
        except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(user, $0, opcode, except) }
    }

    /// Sends a message from borrowed bytes to the WebSockets of a user.
    @discardableResult
    public func push(
        _ bytes: RawSpan, toUser user: some LosslessStringConvertible, opcode: Opcode = .binary,
        except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(user, $0, opcode, except) }
    }

    /// Sends a frame, a whole message, with its own opcode to the WebSockets of a user.
    @discardableResult
    public func push(
        _ frame: Frame, toUser user: some LosslessStringConvertible, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe frame.withBuffer { unsafe send(user, $0, frame.opcode, except) }
    }

    /// Closes the WebSockets of a user behind what was sent to them before, like
    /// ``Server/close(_:code:reason:)->CommandResult``: `onClose` follows where their handlers run.
    ///
    /// In a cluster a server that is not connected with it at this time misses that, also with a history.
    ///
    /// - Parameters:
    ///   - user: a name or a number.
    ///   - code: 1000, or another code that may be sent: 1001-1003, 1007-1014, 3000-4999.
    ///   - reason: at most 123 bytes are sent.
    ///   - except: one of the user's connections on this server that stays open.
    /// - Returns: the results of ``push(_:toUser:except:)-(String,_,_)``; ``PushResult/invalid`` for a code that may
    ///   not be sent.
    @discardableResult
    public func disconnect(
        user: some LosslessStringConvertible, code: UInt16 = 1000, reason: String = "", except: ConnectionID? = nil
    ) -> PushResult {
        guard let worker else { return .closed }
        let payload = CloseFrame(code: code, reason: reason).payload
        guard !payload.isEmpty else { return .invalid }
        return unsafe payload.withUnsafeBytes {
            unsafe worker.publish(.user(user.description), $0, .close, except: except)
        }
    }

    private func send(
        _ user: some LosslessStringConvertible, _ bytes: UnsafeRawBufferPointer, _ opcode: Opcode,
        _ except: ConnectionID?
    ) -> PushResult {
        guard let worker else { return .closed }
        guard opcode == .text || opcode == .binary else { return .invalid }
        return unsafe worker.publish(.user(user.description), bytes, opcode, except: except)
    }
}
