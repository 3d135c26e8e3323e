import SwiftServer
import TestProtocol

/// Handlers of requests whose bodies come in pieces.
@MainActor enum UploadScenario {
    static func register(_ server: WebSocketServer) {
        server.settings.streamRequestBodies = true
        server.settings.maxStreamedBody = 1 << 30
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in
            let upload = Upload(path: request.path) ?? .ignore
            do {
                try await answer(upload, request, response, server)
            } catch {
                let failure: Event.RequestBodyFailure =
                    switch error {
                    case RequestBodyError.incomplete: .incomplete
                    case RequestBodyError.readTwice: .readTwice
                    case is CancellationError: .cancelled
                    default: .other
                    }
                Event.uploadFailed(upload, failure).report()
                // What was said already, or is said now, reaches nobody when the client is gone.
                response.end("failed \(error)")
            }
        }
    }

    private static func answer(
        _ upload: Upload, _ request: Request, _ response: Response, _ server: WebSocketServer
    ) async throws {
        switch upload {
        case .count: response.end(try await count(request.bodyPieces))
        case .slow:
            var pieces = request.bodyPieces.makeAsyncIterator()
            let first = try await pieces.next()?.count ?? 0
            // Long enough for a fast client to fill the memory, if it is let.
            await server.sleep(for: .milliseconds(300))
            var total = first
            while let piece = try await pieces.next() { total += piece.count }
            response.end("\(first > 0) \(total)")
        case .first:
            var pieces = request.bodyPieces.makeAsyncIterator()
            response.end(try await pieces.next() ?? [])
        case .echo:
            for try await piece in request.bodyPieces {
                while !response.write(piece) { await server.sleep(for: .milliseconds(1)) }
            }
        case .late:
            response.end("early")
            for try await _ in request.bodyPieces {}
            Event.readAfterEnd.report()
        case .cancel:
            let reader = Task { try await count(request.bodyPieces) }
            await Task.yield()
            reader.cancel()
            response.end("\(try await reader.value)")
        case .detached:
            for yields in 0..<100 {
                let reader = Task.detached { try await size(of: request.bodyPieces, upTo: 1) }
                for _ in 0..<yields % 10 { await Task.yield() }
                reader.cancel()
                if let size = try? await reader.value {
                    response.end("\(size) bytes in spite of it")
                    return
                }
            }
            guard response.write("cancelled") else { return }
            let reader = Task.detached { try await size(of: request.bodyPieces, upTo: .max) }
            response.end("\(try await reader.value) bytes")
        case .twice:
            async let first = try? count(request.bodyPieces)
            await Task.yield()
            let both = [try? await count(request.bodyPieces), await first]
            response.end(both.compactMap { $0 }.joined(separator: " and "))
        case .refuse: response.status(417)
        case .ignore: response.end("\(request.body.count) ignored")
        }
    }

    /// Reads a body outside of the main actor.
    nonisolated private static func size(of body: RequestBody, upTo limit: Int) async throws -> Int {
        var size = 0
        var pieces = body.makeAsyncIterator()
        while size < limit, let piece = try await pieces.next() { size += piece.count }
        return size
    }

    /// How many bytes, and whether they are 0, 1 ... 250, 0 ...
    private static func count(_ body: RequestBody) async throws -> String {
        var count = 0
        var isGood = true
        for try await piece in body {
            isGood = isGood && piece.count > 0 && piece.first == UInt8(count % 251)
            count += piece.count
            isGood = isGood && piece.last == UInt8((count - 1) % 251)
        }
        return "\(count) \(isGood)"
    }
}
