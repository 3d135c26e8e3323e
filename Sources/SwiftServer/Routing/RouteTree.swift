internal import Glibc

/// The routes of a port as a tree of path segments, in a few blocks of memory that never change.
///
/// A search compares the bytes of the path as they were sent, follows literals before parameters before wildcards, and
/// returns to the next choice where one leads to no route. Each node has one path to it, so a search visits each node
/// once at most. Literals of one node are found by bisection. It allocates nothing.
@safe final class RouteTree: @unchecked Sendable {
    // `@unchecked`: immutable after `init`.

    /// A segment of patterns. Numbers of nodes, endpoints and routes are `none` where there is none.
    struct Node {
        /// The place of a literal in `labels`.
        var label = 0
        var labelLength = 0
        /// Whether the literal matches in any letter case, on the way to prefixes only.
        var ignoresCase = false
        /// The literals below, which are neighbours in the order of their bytes.
        var firstChild = 0
        var childCount = 0
        /// Whether one of them matches in any letter case.
        var hasOtherCases = false
        var parameter = none
        /// The endpoint of paths that end here.
        var exact = none
        /// The endpoint of paths that begin here, whatever follows.
        var rest = none
        /// The route that takes all requests and handshakes of paths that begin here, in any letter case.
        var prefix = none
    }

    /// The routes of one pattern.
    struct Endpoint {
        /// A bit for each method that has a route; bit 0: a route for any method.
        var methods: UInt32
        /// The place of their numbers in `slots`, in the order of the bits.
        var first: Int
    }

    /// What is searched for, and what was found on the way.
    @safe struct Search {
        let path: UnsafeBufferPointer<UInt8>
        /// The bit of the method; 0 for one that no route names.
        let method: UInt32
        /// Whether only prefixes count.
        let isHandshake: Bool
        /// The methods of patterns that match the path and do not have the method.
        var allowed: UInt32 = 0
        /// The first endpoint of such a pattern.
        var missed = RouteTree.none

        init(_ path: UnsafeBufferPointer<UInt8>, method: UInt32, isHandshake: Bool = false) {
            unsafe self.path = path
            self.method = method
            self.isHandshake = isHandshake
        }
    }

    static let none = -1

    private let nodes: UnsafeMutablePointer<Node>
    private let labels: UnsafeMutablePointer<UInt8>
    private let endpoints: UnsafeMutablePointer<Endpoint>
    private let slots: UnsafeMutablePointer<Int>
    let endpointCount: Int

    /// The first node is the root.
    init(nodes: [Node], labels: [UInt8], endpoints: [Endpoint], slots: [Int]) {
        unsafe self.nodes = RouteTree.block(nodes)
        unsafe self.labels = RouteTree.block(labels)
        unsafe self.endpoints = RouteTree.block(endpoints)
        unsafe self.slots = RouteTree.block(slots)
        endpointCount = endpoints.count
    }

    deinit {
        unsafe nodes.deallocate()
        unsafe labels.deallocate()
        unsafe endpoints.deallocate()
        unsafe slots.deallocate()
    }

    private static func block<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let block = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        unsafe elements.withUnsafeBufferPointer {
            if let start = $0.baseAddress { unsafe block.initialize(from: start, count: $0.count) }
        }
        return unsafe block
    }

    // MARK: Search

    /// The number of the route that serves a path, or `none`; `search` has the methods that the path has otherwise.
    func find(_ search: inout Search) -> Int {
        // A request for "http://host" has no path, which means "/".
        guard unsafe search.path.count > 0 else { return visit(0, 0, isExact: true, &search) }
        guard unsafe search.path[0] == UInt8(ascii: "/") else { return RouteTree.none }
        return visit(0, 1, isExact: true, &search)
    }

    /// Follows a node whose segment was matched.
    ///
    /// - Parameters:
    ///   - at: the place of the next segment in the path.
    ///   - isExact: whether all literals so far have matched in the same letter case.
    private func visit(_ number: Int, _ at: Int, isExact: Bool, _ search: inout Search) -> Int {
        let node = unsafe nodes + number
        let count = unsafe search.path.count
        if at < count {
            var stop = at
            var isEscaped = false
            while stop < count {
                let byte = unsafe search.path[stop]
                if byte == UInt8(ascii: "/") { break }
                if byte == UInt8(ascii: "%") { isEscaped = true }
                stop += 1
            }
            let next = min(stop + 1, count)
            let segment = unsafe UnsafeBufferPointer(rebasing: search.path[at..<stop])
            if unsafe node.pointee.childCount > 0 {
                let same = unsafe child(of: node, segment, isEscaped)
                if same >= 0 {
                    let found = visit(same, next, isExact: isExact, &search)
                    if found >= 0 { return found }
                }
                if unsafe node.pointee.hasOtherCases {
                    let other = unsafe childInOtherCase(of: node, segment)
                    if other >= 0, other != same {
                        let found = visit(other, next, isExact: false, &search)
                        if found >= 0 { return found }
                    }
                }
            }
            if unsafe node.pointee.parameter >= 0, unsafe isValue(segment, isEscaped) {
                let found = unsafe visit(node.pointee.parameter, next, isExact: isExact, &search)
                if found >= 0 { return found }
            }
        } else if isExact, !search.isHandshake {
            let found = unsafe take(node.pointee.exact, &search)
            if found >= 0 { return found }
        }
        if unsafe node.pointee.rest >= 0, isExact, !search.isHandshake,
            unsafe PathText.isValue(UnsafeBufferPointer(rebasing: search.path[min(at, count)...]))
        {
            let found = unsafe take(node.pointee.rest, &search)
            if found >= 0 { return found }
        }
        return unsafe node.pointee.prefix
    }

    /// The literal below a node that a segment equals, or `none`.
    @inline(__always) private func child(
        of node: UnsafeMutablePointer<Node>, _ segment: UnsafeBufferPointer<UInt8>, _ isEscaped: Bool
    ) -> Int {
        if isEscaped { return unsafe search(node) { label in unsafe PathText.order(segment, label) } }
        return unsafe search(node) { label in
            guard let start = segment.baseAddress, let other = label.baseAddress else {
                return segment.count - label.count
            }
            let order = unsafe memcmp(start, other, min(segment.count, label.count))
            return order != 0 ? Int(order) : segment.count - label.count
        }
    }

    /// The literal below a node that matches in any letter case and equals a segment so, or `none`.
    @inline(never) private func childInOtherCase(
        of node: UnsafeMutablePointer<Node>, _ segment: UnsafeBufferPointer<UInt8>
    ) -> Int {
        // Such literals are in lower case.
        let found = unsafe search(node) { label in unsafe PathText.order(segment, label, lowercasing: true) }
        return unsafe found >= 0 && nodes[found].ignoresCase ? found : RouteTree.none
    }

    /// The literal below a node for which `order` gives 0: it is negative for those behind it.
    @inline(__always) private func search(
        _ node: UnsafeMutablePointer<Node>, _ order: (UnsafeBufferPointer<UInt8>) -> Int
    ) -> Int {
        var low = unsafe node.pointee.firstChild
        var high = unsafe low + node.pointee.childCount
        while low < high {
            let middle = (low + high) / 2
            let candidate = unsafe nodes + middle
            let label = unsafe UnsafeBufferPointer(
                start: labels + candidate.pointee.label, count: candidate.pointee.labelLength)
            let result = unsafe order(label)
            if result == 0 { return middle }
            if result < 0 { high = middle } else { low = middle + 1 }
        }
        return RouteTree.none
    }

    @inline(__always) private func isValue(_ segment: UnsafeBufferPointer<UInt8>, _ isEscaped: Bool) -> Bool {
        guard segment.count > 0 else { return false }
        let isPlain = unsafe !isEscaped && segment[0] != UInt8(ascii: ".")
        return unsafe isPlain || PathText.isValue(segment)
    }

    /// The route of an endpoint for the method of the search.
    @inline(__always) private func take(_ endpoint: Int, _ search: inout Search) -> Int {
        guard endpoint >= 0 else { return RouteTree.none }
        let methods = unsafe endpoints[endpoint].methods
        var bit = methods & search.method
        if bit == 0, search.method == RouteMethods.head { bit = methods & RouteMethods.get }
        if bit == 0 { bit = methods & RouteMethods.any }
        guard bit != 0 else {
            search.allowed |= methods
            if search.missed < 0 { search.missed = endpoint }
            return RouteTree.none
        }
        return unsafe slots[endpoints[endpoint].first + (methods & (bit - 1)).nonzeroBitCount]
    }
}
