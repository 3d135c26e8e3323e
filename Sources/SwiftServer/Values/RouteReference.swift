/// What requests need to know of their route: its pattern, and the places of the parameters in the path.
final class RouteInfo: Sendable {
    struct Parameter: Sendable {
        let name: String
        /// The number of the path's segment, from 0.
        let segment: Int
        /// Whether the value extends to the end of the path.
        let isRest: Bool
    }

    let pattern: String
    let parameters: [Parameter]

    init(pattern: String, parameters: [Parameter]) {
        self.pattern = pattern
        self.parameters = parameters
    }
}

/// A reference to the route of a request, without a count: each copy of a request would have to change that.
///
/// The route lives as long as the process, since requests may outlive their server. Each start of a server makes one
/// for each of its routes.
@safe struct RouteReference: Sendable {
    private let reference: Unmanaged<RouteInfo>

    init(_ info: RouteInfo) { unsafe reference = .passRetained(info) }

    var info: RouteInfo { unsafe reference.takeUnretainedValue() }
}
