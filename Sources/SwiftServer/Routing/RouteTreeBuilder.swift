/// Collects the patterns of routes, and makes their tree.
struct RouteTreeBuilder {
    private final class Draft {
        var label: [UInt8] = []
        var ignoresCase = false
        var children: [[UInt8]: Draft] = [:]
        var parameter: Draft?
        /// Numbers of routes by the bits of their methods.
        var exact: [UInt32: Int] = [:]
        var rest: [UInt32: Int] = [:]
        var prefix: Int?

        /// The node of a literal below this one, which is made when it is new.
        func child(_ label: [UInt8]) -> Draft {
            if let known = children[label] { return known }
            let child = Draft()
            child.label = label
            children[label] = child
            return child
        }
    }

    private let root = Draft()

    /// Adds the route of a pattern and a method. Returns the number of the route that it equals, if there is one.
    func add(_ pattern: RoutePattern, method: UInt32, route: Int) -> Int? {
        var node = root
        for segment in pattern.segments {
            switch segment {
            case .literal(let label): node = node.child(label)
            case .parameter: node = parameter(of: node)
            case .rest:
                if let known = node.rest[method] { return known }
                node.rest[method] = route
                return nil
            }
        }
        if let known = node.exact[method] { return known }
        node.exact[method] = route
        return nil
    }

    /// Adds the route of all paths that begin with a pattern, in any letter case. Returns the number of the route that
    /// it equals, if there is one.
    func addPrefix(_ pattern: RoutePattern, route: Int) -> Int? {
        var node = root
        for segment in pattern.segments {
            switch segment {
            case .literal(let label):
                node = node.child(label.map(PathText.lowercased))
                node.ignoresCase = true
            case .parameter: node = parameter(of: node)
            case .rest: break  // a prefix has it anyway
            }
        }
        if let known = node.prefix { return known }
        node.prefix = route
        return nil
    }

    private func parameter(of node: Draft) -> Draft {
        if let known = node.parameter { return known }
        let parameter = Draft()
        node.parameter = parameter
        return parameter
    }

    /// The tree, and the routes of each of its endpoints.
    func build() -> (tree: RouteTree, endpoints: [[Int]]) {
        var nodes = [RouteTree.Node()]
        var labels: [UInt8] = []
        var endpoints: [RouteTree.Endpoint] = []
        var slots: [Int] = []
        var routes: [[Int]] = []

        func endpoint(_ byMethod: [UInt32: Int]) -> Int {
            if byMethod.isEmpty { return RouteTree.none }
            let sorted = byMethod.sorted { $0.key < $1.key }
            endpoints.append(RouteTree.Endpoint(methods: byMethod.keys.reduce(0, |), first: slots.count))
            slots += sorted.map(\.value)
            routes.append(sorted.map(\.value))
            return endpoints.count - 1
        }

        // Breadth first: the literals of a node become neighbours.
        var pending = [root]
        var next = 0
        while next < pending.count {
            let draft = pending[next]
            nodes[next].label = labels.count
            nodes[next].labelLength = draft.label.count
            labels += draft.label
            nodes[next].ignoresCase = draft.ignoresCase
            nodes[next].exact = endpoint(draft.exact)
            nodes[next].rest = endpoint(draft.rest)
            nodes[next].prefix = draft.prefix ?? RouteTree.none
            nodes[next].firstChild = pending.count
            nodes[next].childCount = draft.children.count
            nodes[next].hasOtherCases = draft.children.values.contains { $0.ignoresCase }
            pending += draft.children.values.sorted { $0.label.lexicographicallyPrecedes($1.label) }
            if let parameter = draft.parameter {
                nodes[next].parameter = pending.count
                pending.append(parameter)
            }
            nodes += Array(repeating: RouteTree.Node(), count: pending.count - nodes.count)
            next += 1
        }
        return (RouteTree(nodes: nodes, labels: labels, endpoints: endpoints, slots: slots), routes)
    }
}
