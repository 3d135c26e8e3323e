// Fetches pages, several at a time, and prints the status and the size of each as soon as it is there.
//
//   ./dev demo fetch https://www.swift.org/ https://example.com/ http://127.0.0.1:9501/
import Glibc
import SwiftServer

let urls = CommandLine.arguments.dropFirst()
let client = HTTPClient {
    $0.timeout = .seconds(30)
    $0.maxConnectionsPerOrigin = 4
}

func fetch(_ url: String) async -> Bool {
    do {
        let response = try await client.get(url)
        var size = 0
        for try await piece in response.body { size += piece.count }
        print("\(url): \(response.status), \(size) bytes")
        return true
    } catch {
        print("\(url): \(error)")
        return false
    }
}

let failures = await withTaskGroup { group in
    for url in urls { group.addTask { await fetch(url) } }
    var failures = 0
    for await isFetched in group where !isFetched { failures += 1 }
    return failures
}
exit(failures == 0 ? 0 : 1)
