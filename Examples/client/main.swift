// Clients of each kind, one for each command:
//
//   client tcp HOST PORT LINE        sends a line over TCP and prints the line that comes back
//   client udp HOST PORT TEXT        sends a packet over UDP and prints the answer
//   client ask URL TEXT              sends a WebSocket message and prints the answer, with the blocking client
//   client listen URL [TEXT]         sends a message and prints all messages, with the asynchronous client, which
//                                    connects again when the connection is lost
//   client conformance STYLE URL AGENT
//                                    runs the Autobahn suite, whose server is at URL; STYLE: async or blocking
import SwiftServer

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

func fail(_ message: String) -> Never {
    print("client: \(message)")
    exit(1)
}

let usage = "client tcp|udp HOST PORT TEXT, client ask|listen URL TEXT, or client conformance async|blocking URL AGENT"
let arguments = Array(CommandLine.arguments.dropFirst())

func port(_ text: String) -> Int { Int(text) ?? 0 }

do {
    switch (arguments.first, arguments.count) {
    case ("tcp", 4): try askOverTCP(arguments[1], port(arguments[2]), arguments[3])
    case ("udp", 4): try askOverUDP(arguments[1], port(arguments[2]), arguments[3])
    case ("ask", 3): try ask(arguments[1], arguments[2])
    case ("listen", 2), ("listen", 3): try await listen(arguments[1], arguments.count > 2 ? arguments[2] : nil)
    case ("conformance", 4) where arguments[1] == "async": try await runCases(arguments[2], arguments[3])
    case ("conformance", 4) where arguments[1] == "blocking": try runCasesBlocking(arguments[2], arguments[3])
    default: fail(usage)
    }
} catch let error as ClientError {
    fail(error.message)
}
