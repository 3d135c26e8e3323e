internal import CReactor
internal import CReactorInternal

/// The end of the link in a process that serves nothing: the master and the manager. It posts tasks and sends messages.
@safe struct BusClient: @unchecked Sendable {
    // `@unchecked`: used on the process's main thread only.
    private let raw: OpaquePointer
    private let layout: Layout

    /// The receiver of lists of topics, which outlives the link.
    @safe final class TopicReceiver {
        fileprivate let receive: (_ list: TopicList, _ node: Int, _ number: UInt64) -> Void

        init(_ receive: @escaping (_ list: TopicList, _ node: Int, _ number: UInt64) -> Void) { self.receive = receive }
    }

    /// `cluster` must live as long as the link. Without a loop, everything sent leaves at once, and nothing is
    /// received.
    init(
        node: Int, loop: EventLoop?, bus: Bus, layout: Layout, cluster: UnsafePointer<cre_cluster_place>?,
        topics: TopicReceiver? = nil
    ) throws(ServerError) {
        var config = unsafe cre_worker_config()
        if let topics {
            unsafe config.context = Unmanaged.passUnretained(topics).toOpaque()
            unsafe config.on_message = { context, node, message, payload in
                guard let context = unsafe context, let message = unsafe message?.pointee,
                    UInt32(message.kind) == CRE_MESSAGE_TOPIC_LIST.rawValue
                else { return }
                // Its sender can still write to it, so a copy is read.
                let copy = unsafe [UInt8](UnsafeRawBufferPointer(start: payload, count: Int(message.length)))
                guard let list = unsafe copy.withUnsafeBytes({ unsafe TopicList($0) }) else { return }
                unsafe Unmanaged<TopicReceiver>.fromOpaque(context)._withUnsafeGuaranteedRef {
                    $0.receive(list, Int(node), message.session)
                }
            }
        }
        unsafe config.bus = bus.raw
        unsafe config.node = UInt32(node)
        unsafe config.first_task = UInt16(layout.taskNodes.lowerBound)
        unsafe config.task_count = UInt16(layout.taskNodes.count)
        unsafe config.first_owner = UInt16(layout.owners.lowerBound)
        unsafe config.owner_count = UInt16(layout.owners.count)
        unsafe config.cluster = cluster
        var worker: OpaquePointer?
        let result = unsafe cre_worker_create(loop?.raw, &config, &worker)
        guard result == 0, let worker = unsafe worker else {
            throw .system("cannot open the mailbox of \(layout.name(ofNode: node))", result)
        }
        unsafe raw = worker
        self.layout = layout
    }

    /// Must be the last call.
    func close() { unsafe cre_worker_destroy(raw) }

    /// Posts a task whose results are not delivered.
    func post(_ data: [UInt8], on index: Int?, limit: Int) -> TaskPosting {
        unsafe TaskPosting.post(raw, data, on: index, CRE_TASK_ONE_WAY, limit: limit).posting
    }

    /// Sends a message to the process of this number.
    func send(message bytes: [UInt8], to id: Int) -> PushResult {
        guard (0..<layout.handlerProcesses).contains(id) else { return .invalid }
        let result = unsafe bytes.withUnsafeBytes {
            unsafe cre_worker_send_message(raw, UInt32(layout.node(of: id)), $0.baseAddress, $0.count)
        }
        return PushResult(result, local: false)
    }

    /// Asks the process of a node that owns sockets for its topics. Returns whether the question is on its way.
    func askTopics(_ filter: String, of node: Int, _ number: UInt64) -> Bool {
        var filter = filter
        return filter.withUTF8 {
            unsafe cre_worker_ask_topics(raw, UInt32(node), number, $0.baseAddress, $0.count) == 0
        }
    }

    /// Publishes text to the WebSockets that are subscribed to a topic, or with `nil` to all open ones.
    func publish(_ text: String, to topic: String?) -> PushResult {
        var text = text
        let opcode = Opcode.text.rawValue
        let result = text.withUTF8 { text in
            guard var topic else { return unsafe cre_worker_broadcast(raw, opcode, text.baseAddress, text.count, 0) }
            return topic.withUTF8 {
                unsafe cre_worker_publish(raw, $0.baseAddress, $0.count, opcode, text.baseAddress, text.count, 0)
            }
        }
        return PushResult(result, local: false)
    }

    /// Closes a connection after its pending output was sent.
    func close(_ fd: ConnectionID, code: UInt16, reason: String) -> CommandResult {
        var reason = reason
        let result = reason.withUTF8 { unsafe cre_worker_close(raw, fd.rawValue, code, $0.baseAddress, $0.count) }
        return CommandResult(result, local: false)
    }
}
