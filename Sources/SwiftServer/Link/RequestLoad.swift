internal import CReactor
internal import CReactorInternal

/// The requests in progress, as the workers publish them.
extension Bus {
    /// Publishes the requests of this process, that of `node`, which are in progress, and those of them that wait.
    func publish(requests: Int, waiting: Int, node: Int) {
        unsafe cre_bus_set_requests(raw, UInt32(node), UInt32(clamping: requests), UInt32(clamping: waiting))
    }

    /// The place in shared memory of the requests in progress of this process, that of `node`.
    func requestsPlace(node: Int) -> UnsafeMutablePointer<UInt32>? { unsafe cre_bus_requests_place(raw, UInt32(node)) }

    /// The number of requests of all processes that are in progress.
    var requestsInProgress: Int { Int(truncatingIfNeeded: unsafe cre_bus_requests_in_progress(raw)) }

    /// Counts a request that this process, that of `node`, has refused.
    func countRefusedRequest(node: Int) { unsafe cre_bus_count_refused_request(raw, UInt32(node)) }

    /// The sums over all processes.
    var requestLoad: (inProgress: Int, waiting: Int, refused: Int) {
        var load = cre_request_load()
        unsafe cre_bus_get_request_load(raw, &load)
        return (
            Int(truncatingIfNeeded: load.in_progress), Int(truncatingIfNeeded: load.waiting),
            Int(truncatingIfNeeded: load.refused)
        )
    }
}
