/// Which process has which mailbox on the bus: the reactors first, then the workers.
struct Layout: Sendable {
    let reactors: Int
    let workers: Int

    init(settings: Settings, mode: ServerMode) {
        reactors = settings.reactors(mode: mode)
        workers = settings.workerCount
    }

    var nodes: Int { reactors + workers }
    /// The nodes that own connections: reactors, or without them the workers themselves.
    var owners: Range<Int> { 0..<(reactors > 0 ? reactors : workers) }
    func node(ofWorker id: Int) -> Int { reactors + id }
    /// The worker behind a node, in words.
    func name(ofNode node: Int) -> String { node < reactors ? "reactor \(node)" : "worker \(node - reactors)" }
}
