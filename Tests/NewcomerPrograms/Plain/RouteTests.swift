import NewcomerSupport
import SwiftServer
import Testing

extension ProgramTests {
    @Test func routes() async throws {
        for (path, status, body) in [
            ("/", 200, "home"), ("/users/7", 200, "user 7"), ("/users/700", 500, "Internal Server Error\n"),
            ("/slow/Ann", 200, "slow Ann"),
            ("/users/x", 400, "the path parameter id must be a valid Int"), ("/files/a/b", 200, "a/b"),
            ("/any", 200, "GET"), ("/nowhere", 404, "Not Found\n"), ("/special", 405, "Method Not Allowed\n"),
        ] {
            let answer = try await tryOut(Routes.methods()) { try get(path, port: $0) }
            #expect(answer.status == status && answer.body == body, "\(path): \(answer)")
        }
        #expect(Routes.methods().options["worker_num"] != nil)
    }

    @Test func groupsOfRoutes() async throws {
        let answers = try await tryOut(Routes.groups()) { port in
            try ["/api/users/7", "/api/routes", "/forbidden", "/other"].map { try get($0, port: port).body }
        }
        #expect(answers == ["show 7", "4 routes", "forbidden", "Not Found\n"])
        #expect(
            try await tryOut(Routes.groups()) { try Socket(port: $0, path: "/api/rooms/a").ask("hello") } == "a: hello")
    }

    @Test func routesOfPorts() async throws {
        let server = Routes.ports()
        let admin = server.ports[1]
        let answers = try await tryOut(server) { port in
            [
                try get("/", port: port).body, try get("/statistics", port: admin.port).body,
                try get("/statistics", port: port).body,
            ]
        }
        #expect(answers == ["public", "2 ports", "Not Found\n"])
    }
}
