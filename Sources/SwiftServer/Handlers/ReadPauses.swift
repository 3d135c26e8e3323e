/// Pauses reading from connections. Several objects may pause one connection; reading resumes when all have resumed it.
@safe final class ReadPauses: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private let setPaused: (ConnectionID, Bool) -> Void
    private var counts: [ConnectionID: Int] = [:]

    init(setPaused: @escaping (ConnectionID, Bool) -> Void) { self.setPaused = setPaused }

    func pause(_ id: ConnectionID, _ pause: Bool) {
        let count = counts[id, default: 0] + (pause ? 1 : -1)
        counts[id] = count > 0 ? count : nil
        guard count == (pause ? 1 : 0) else { return }
        setPaused(id, pause)
    }
}
