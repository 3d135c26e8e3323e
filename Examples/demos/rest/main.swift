// A small REST service: notes in a table that all workers share, JSON in and out, and a token for changes.
//
//   curl http://127.0.0.1:9501/
//   curl -d '{"text": "buy milk"}' -H 'Authorization: Bearer secret' http://127.0.0.1:9501/notes
//   curl http://127.0.0.1:9501/notes/1
//   curl -X DELETE -H 'Authorization: Bearer secret' http://127.0.0.1:9501/notes/1
import SwiftServerJSON

struct Draft: Decodable { let text: String }
struct Note: Encodable { let id: Int, text: String }
struct NoNote: RequestError { let status = 404, message = "there is no such note\n" }

struct OnlyWithToken: Middleware {
    func handle(_ request: Request, _ response: Response, next: Next) async throws {
        if request.header["authorization"] == "Bearer secret" { return try await next(request, response) }
        response.status(401)
        response.header("WWW-Authenticate", "Bearer")
        response.end("a token is needed\n")
    }
}

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = HTTPServer(host: "127.0.0.1", port: port)
let text = SharedColumn<String>("text", size: 500)
let table = try SharedTable(rows: 1000, columns: text)
let lastID = try SharedAtomic(0)

func note(_ request: Request) throws -> Note {
    let id = try request.parameters.get("id", as: Int.self)
    guard let text = table["\(id)", text] else { throw NoNote() }
    return Note(id: id, text: text)
}

server.get("/") { request, response in response.end("\(server.routes)\n") }
server.group("/notes") { notes in
    notes.get("/") { request, response in
        try response.json(table.map { Note(id: Int($0.key)!, text: $0.row[text]) }.sorted { $0.id < $1.id })
    }
    notes.get("/:id") { request, response in try response.json(note(request)) }
    notes.group(use: [OnlyWithToken()]) { notes in
        notes.post("/") { request, response in
            let note = Note(id: lastID.add(1), text: try request.decode(Draft.self).text)
            try table.set("\(note.id)", text.to(note.text))
            response.header("Location", "/notes/\(note.id)")
            try response.json(note, status: 201)
        }
        notes.delete("/:id") { request, response in
            try table.remove("\(note(request).id)")
            response.status(204)
            response.end()
        }
    }
}
server.onStart { print("listening on http://127.0.0.1:\($0.port)/") }
server.serve()
