#if HTTPTypes
public import HTTPTypes
public import SwiftServer

extension Response {
    /// Adds header fields, in order; see ``SwiftServer/Response/header(_:_:)`` for those that the server sets itself.
    /// Returns false when one of them was not added. The others are added then.
    @discardableResult public func header(_ fields: HTTPFields) -> Bool {
        fields.reduce(true) { header($1.name.rawName, $1.value) && $0 }
    }

    /// Sets the status and adds the header fields of `head`. Returns false when one of them was not taken, as by
    /// ``SwiftServer/Response/status(_:)`` and ``SwiftServer/Response/header(_:_:)``. The reason phrase is the one of
    /// the status.
    @discardableResult public func head(_ head: HTTPResponse) -> Bool {
        let isValid = status(head.status.code)
        return header(head.headerFields) && isValid
    }

    /// Sends a response with this head and a text as its body. Returns false when it was sent before, or a part of the
    /// head was not taken; nothing is sent then.
    @discardableResult public func end(_ head: HTTPResponse, _ body: String = "") -> Bool {
        self.head(head) && end(body)
    }

    /// Sends a response with this head and these bytes as its body. Returns false when it was sent before, or a part of
    /// the head was not taken; nothing is sent then.
    @discardableResult public func end(_ head: HTTPResponse, _ body: [UInt8]) -> Bool {
        self.head(head) && end(body)
    }
}
#endif
