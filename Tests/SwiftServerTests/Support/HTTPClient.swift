@_exported import SwiftServerTesting
import TestProtocol

typealias Connection = RawConnection
typealias HTTPResponse = TestResponse

extension Connection {
    typealias Broken = TestFailure

    func get(_ page: Page, method: String = "GET") throws -> HTTPResponse { try get(page.target, method: method) }

    func sendRequest(_ page: Page, method: String = "GET") throws { try sendRequest(page.target, method: method) }
}
