import FoundationEssentials
package import SwiftServer

/// What the handlers of HTTP requests answer with.
package enum Page: Codable, Sendable {
    /// The id of the connection.
    case fd
    /// Nothing: the handler returns without an answer.
    case nothing
    case status(Int)
    case cookies
    case refusedFields
    case endTwice
    case later(Duration)
    /// The handler blocks its worker for this time.
    case block(Duration)
    /// The last reference to the response is dropped, in a task of the main actor or elsewhere.
    case dropped
    case droppedElsewhere
    case pieces
    case slowPieces
    /// The worker dies in the middle of the answer.
    case cutOff
    case file(String, offset: Int = 0, length: Int? = nil)
    case push(String, to: ConnectionID)
    // In asynchronous handlers
    case name(String, after: Duration = .zero)
    case hold(after: Duration = .zero)
    case release

    /// The target of a request for the page: its JSON, percent-encoded.
    package var target: String {
        "/page?"
            + encoded(self).utf8.map { byte in
                let character = Character(UnicodeScalar(byte))
                return character.isASCII && (character.isLetter || character.isNumber)
                    ? String(character) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined() + "="
    }

    /// The page that a request asks for; `nil`: it asks for none.
    package init?(_ request: Request) {
        guard request.path == "/page", let name = request.query.first(where: { _ in true })?.name,
            let page = try? decoded(Page.self, name)
        else { return nil }
        self = page
    }
}

/// A way in which a handler of the scenario `upload` treats the body of a request.
package enum Upload: String, Codable, Sendable {
    case count, slow, first, echo, late, cancel, detached, twice, refuse, ignore

    package var path: String { "/" + rawValue }

    package init?(path: String) { self.init(rawValue: String(path.dropFirst())) }
}
