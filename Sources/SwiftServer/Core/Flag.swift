internal import CReactor
internal import CReactorInternal

/// A flag shared by all processes of a server. Unlike a signal, raising it needs no privileges; raising it twice has
/// the effect of raising it once. It is created before the first fork.
struct Flag: Sendable {
    let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    init() throws(ServerError) {
        descriptor = cre_flag_create()
        guard descriptor >= 0 else { throw .system("cannot create a flag", descriptor) }
    }

    /// Raises the flag. Any process, any thread.
    func raise() { cre_flag_raise(descriptor) }

    var isRaised: Bool { cre_flag_raised(descriptor) }

    /// Lowers the flag and returns whether it was raised.
    func take() -> Bool { cre_flag_lower(descriptor) }
}
