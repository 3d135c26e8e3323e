// What the blocks of README.md and docs/*.md use without declaring it: see scripts/check-docs.
import SwiftServer
import SwiftServerTesting

@MainActor let server = WebSocketServer(port: 0)
@MainActor let port: ServerPort<WebSocketServer> = value()
@MainActor let request: Request = value()
@MainActor let response: Response = value()
@MainActor let accessLog: any Middleware = value()
@MainActor let onlyMonitoring: any Middleware = value()
let id = ""
let key = ""
let secret = ""

/// A value that is never made, since nothing here runs.
func value<Value>() -> Value { fatalError() }

struct User: Codable, Sendable {
    let id: Int
    let name: String
}

/// The users of an application, in a database.
struct Users: Sendable {
    func find(_ id: Int) async throws -> User? { nil }
    func find(_ name: String, password: String) async throws -> User? { nil }
    func find(token: String?) async throws -> User? { nil }
}

let users = Users()

func sendMail(_ text: String) throws {}

extension HTTPPage {
    struct Article {
        let version: Int
        let time: Double
        let text: String
    }

    struct Price: Sendable {
        let number: Int
        let json: String
    }

    struct Sessions: Sendable {
        func user(of token: String) async throws -> User? { nil }
    }

    struct NoUser: Error {}
    struct WrongKey: Error {}
    struct Unexpected: Error {
        init(_ status: Int) {}
    }

    static let article: Article = value()
    static let authentication: any Middleware = value()
    static let jwks = ""
    static let sessions = Sessions()

    static func newPhotoID(_ title: String) async throws -> Int { 0 }
    static func prices(after id: String?) -> AsyncStream<Price> { value() }
}

extension SharedMemoryPage {
    static let fd = SharedColumn<ConnectionID>("fd")
    static let users: SharedTable = value()
    static let lock: SharedLock = value()

    static func rebuildIndex() {}
}

extension TestingPage {
    static let client: TestClient = value()
}

func configure(_ server: WebSocketServer) {}

extension StylesPage {
    static var rooms: [String: Int] = [:]
}

extension TasksPage {
    static var jobs: [TaskID: ConnectionID] = [:]

    static func work() {}
}

extension AsyncMainPage {
    static var configuration = ""
}
