import SwiftServer
import TestProtocol

/// Values of the cluster, in handlers, detached tasks and task workers.
@MainActor enum ValuesScenario {
    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            switch command(frame) {
            case .value(let step)?: server.answer(await run(step, server.values), to: frame.fd)
            case .valueDetached(let step)?:
                let report = await Task.detached { await run(step, server.values) }.value
                server.answer(report, to: frame.fd)
            case .post?:
                let text = try? await server.task("count", timeout: .seconds(10))
                server.answer(text ?? "", to: frame.fd)
            case let other?: if let answer = Commands.common(other, server) { server.answer(answer, to: frame.fd) }
            case nil: break
            }
        }
        server.onTask { server, _ in "\((try? await server.values.add(1, to: "tasks")) ?? -1)" }
    }

    private nonisolated static func run(_ step: ValueStep, _ values: ClusterValues) async -> ValueReport {
        do throws(ClusterError) {
            switch step {
            case .text(let key): return ValueReport(text: try await values.text(key))
            case .number(let key): return ValueReport(number: try await values.number(key))
            case .size(let key): return ValueReport(number: try await values.bytes(key)?.count)
            case .set(let key, let text, let lifetime, let expectation):
                return ValueReport(
                    isDone: try await values.set(key, to: text, for: lifetime, if: condition(expectation)))
            case .fill(let key, let count):
                return ValueReport(isDone: try await values.set(key, to: [UInt8](repeating: 0xFF, count: count)))
            case .add(let amount, let key, let lifetime):
                return ValueReport(number: try await values.add(amount, to: key, for: lifetime))
            case .remove(let key, let expectation):
                return ValueReport(isDone: try await values.remove(key, if: condition(expectation)))
            }
        } catch {
            return ValueReport(error: "\(error)")
        }
    }

    private nonisolated static func condition(_ expectation: ValueStep.Expectation?) -> ValueCondition {
        switch expectation {
        case nil: .always
        case .absent: .absent
        case .equals(let text): .equals(text)
        }
    }
}
