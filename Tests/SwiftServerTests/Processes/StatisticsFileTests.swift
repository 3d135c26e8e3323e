import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The file with the numbers of `stats()`. Comments name the test cases of Swoole that a test repeats.
    @Suite struct StatisticsFileTests {
        /// stats_file, stats_file_json
        @Test(arguments: ServerMode.allCases, ["stats", "stats.json"])
        func statisticsAreWrittenToAFile(_ mode: ServerMode, _ name: String) throws {
            let folder = try Folder()
            let path = folder.path + "/" + name
            try ServerProcess.run(.general, mode, { $0.statsFile = path }) { server in
                func contents() throws -> [String: Int] {
                    let data = try #require(FileManager.default.contents(atPath: path))
                    if name.hasSuffix(".json") {
                        let object = try JSONSerialization.jsonObject(with: data)
                        return try #require(object as? [String: Int])
                    }
                    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
                    let pairs = lines.map { $0.split(separator: ":") }
                    return Dictionary(
                        uniqueKeysWithValues: pairs.map {
                            (String($0[0]), Int($0[1].trimmingCharacters(in: .whitespaces))!)
                        })
                }
                #expect(try contents()["connections"] == 0)
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                try Wait.until("the next second") { try contents()["connections"] == 1 }
                let messages = try contents()["messagesReceived"]
                #expect(messages == 1)
                #expect(try contents()["http2OpenConnections"] == 0)
            }
        }

        @Test(arguments: ServerMode.allCases) func statisticsThatCannotBeWrittenAreAnError(_ mode: ServerMode) throws {
            let server = try ServerProcess.runFailing(.general, mode) { $0.statsFile = "/nowhere/stats" }
            let (code, message) = try server.onlyError()
            #expect(code == .system && message.hasPrefix("cannot write the statistics to /nowhere/stats: "))
        }
    }
}
