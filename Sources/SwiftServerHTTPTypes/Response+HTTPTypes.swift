#if HTTPTypes
public import HTTPTypes
public import SwiftServer

extension Response {
    /// Adds header fields, in order; see ``SwiftServer/Response/header(_:_:)`` for those that the server sets itself.
    ///
    /// - Returns: why a field was not added, if there was one. The others are added then.
    @discardableResult public func header(_ fields: HTTPFields) -> ResponseResult {
        var result = ResponseResult.accepted
        for field in fields {
            let added = header(field.name.rawName, field.value)
            if result.isAccepted { result = added }
        }
        return result
    }

    /// Sets the status and adds the header fields of `head`, as ``SwiftServer/Response/status(_:)`` and
    /// ``SwiftServer/Response/header(_:_:)``. The reason phrase is the one of the status.
    ///
    /// - Returns: why a part of the head was not accepted, if there was one. The others are accepted then.
    @discardableResult public func head(_ head: HTTPResponse) -> ResponseResult {
        let result = status(head.status.code)
        let added = header(head.headerFields)
        return result.isAccepted ? added : result
    }

    /// Sends a response with this head and a text as its body. When it was sent before, or a part of the head is not
    /// accepted, nothing is sent, and the result has the reason.
    @discardableResult public func end(_ head: HTTPResponse, _ body: String = "") -> ResponseResult {
        let result = self.head(head)
        return result.isAccepted ? end(body) : result
    }

    /// Sends a response with this head and these bytes as its body. When it was sent before, or a part of the head is
    /// not accepted, nothing is sent, and the result has the reason.
    @discardableResult public func end(_ head: HTTPResponse, _ body: [UInt8]) -> ResponseResult {
        let result = self.head(head)
        return result.isAccepted ? end(body) : result
    }
}
#endif
