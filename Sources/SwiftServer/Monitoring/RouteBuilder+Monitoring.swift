extension RouteBuilder {
    /// Adds a route for GET that reports the metrics of the server, of all its processes together: in the text format
    /// of Prometheus, or in OpenMetrics or JSON for clients that prefer those (`Accept`, or `?format=json`).
    ///
    /// ```swift
    /// server.group(use: [onlyMonitoring]) { $0.metrics() }     // GET /metrics
    /// ```
    ///
    /// Any worker can answer, with the same numbers. ``Settings/monitoringPort`` answers also when no worker does.
    public func metrics(at pattern: String = "/metrics") {
        get(pattern) { request, response in
            guard let monitor = response.worker.monitor as? Monitor else { return }
            let (type, body) = monitor.metrics(for: request)
            response.header("Content-Type", type)
            response.header("Cache-Control", "no-store")
            response.end(body)
        }
    }

    /// Adds routes for GET that answer the probes of load balancers and supervisors.
    ///
    /// - Parameters:
    ///   - alive: answers with status 200 while a worker can answer.
    ///   - ready: answers with status 200 when the server should get traffic: all workers have finished
    ///     `onWorkerStart`, the server is not stopping, and it is below ``Settings/maxConnections`` and
    ///     ``Settings/memoryBudget``. Else the status is 503, and the body names the obstacles.
    public func health(alive: String = "/healthz", ready: String = "/readyz") {
        get(alive) { _, response in
            response.header("Cache-Control", "no-store")
            response.end("alive\n")
        }
        get(ready) { _, response in
            guard let monitor = response.worker.monitor as? Monitor else { return }
            let (status, body) = monitor.readiness
            response.status(status)
            response.header("Cache-Control", "no-store")
            response.end(body)
        }
    }
}
