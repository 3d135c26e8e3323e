/// The credentials of a request: the field `Authorization` (RFC 9110, section 11.6.2).
enum Authorization: Equatable {
    /// There are none of this scheme.
    case absent
    /// There are several fields, or one that is malformed.
    case malformed
    /// The part behind the name of the scheme.
    case credentials(String)

    init(of request: Request, scheme: String) {
        let fields = request.header.all("authorization")
        guard let field = fields.first else {
            self = .absent
            return
        }
        guard fields.count == 1 else {
            self = .malformed
            return
        }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.first?.lowercased() == scheme else {
            self = .absent
            return
        }
        let credentials = parts.count == 2 ? parts[1].drop { $0 == " " } : ""
        self = credentials.isEmpty || credentials.contains(" ") ? .malformed : .credentials(String(credentials))
    }

    /// A text as a quoted string. Other characters than those of ASCII that can be printed become "?".
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append((" "..."~").contains(scalar) ? scalar : "?")
        }
        return quoted + "\""
    }
}

extension Response {
    /// Refuses a request with a challenge, and one line as its body.
    func refuse(_ status: Int, challenge: String, _ body: String) {
        guard !isBegun else { return }
        self.status(status)
        header("WWW-Authenticate", challenge)
        end(body)
    }
}
