import SwiftServer
import TestProtocol

/// Members of topics.
@MainActor enum PresenceScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onOpen { server, request in welcome(request.fd, server) }
        if let keepsMembers = configuration.keepsMembers {
            server.cluster.keepsMembers = keepsMembers
        } else {
            server.onJoin { _, topic, member in Event.joined(topic, member).report() }
            server.onLeave { (_, topic, member) async in Event.left(topic, member).report() }
        }
        server.onMessage { server, frame in
            guard let command = command(frame) else { return }
            if let answer = await run(command, frame.fd, server) { server.answer(answer, to: frame.fd) }
        }
    }

    private static func run(
        _ command: Command, _ fd: ConnectionID, _ server: WebSocketServer
    ) async -> Commands.Answer? {
        switch command {
        case .join(let topic, let member): return server.subscribe(fd, to: topic, as: member.id, info: member.info)
        case .joinDetached(let topic, let member):
            return await Task.detached { server.subscribe(fd, to: topic, as: member.id, info: member.info) }.value
        case .close(let code, let reason): return server.close(fd, code: code, reason: reason) ? nil : false
        case .unsubscribe(let topic): return server.unsubscribe(fd, from: topic)
        case .presence(let topic):
            do { return PresenceReport(members: try await server.presence(of: topic)) } catch {
                return PresenceReport(error: "\(error)")
            }
        case .presenceCount(let topic): return (try? await server.presenceCount(of: topic)) ?? -1
        case .clusterNodes: return ((try? await server.clusterNodes()) ?? []).map(\.connections)
        case .subscribe(let topic): return server.subscribe(fd, to: topic)
        case .bindUser(let user): return (server.bind(fd, to: user) as CommandResult).description
        case .bind(let number): return (server.bind(fd, to: number) as CommandResult).description
        case .subscriberCount(let topic, let timeout):
            return await count { try await server.subscriberCount(of: topic, timeout: timeout) }
        case .subscribeAndCount(let topic):
            server.subscribe(fd, to: topic)
            return await count { try await server.subscriberCount(of: topic) }
        case .userConnectionCount(let user): return await count { try await server.connectionCount(ofUser: user) }
        case .countDetached(let topic):
            return await Task.detached { await count { try await server.subscriberCount(of: topic) } }.value
        default: return Commands.common(command, server)
        }
    }

    private nonisolated static func count(_ ask: @Sendable () async throws -> Int) async -> CountReport {
        do { return CountReport(count: try await ask()) } catch { return CountReport(error: "\(error)") }
    }
}
