// Two servers at one Redis, and a page that is connected with both.
//
//   Open http://127.0.0.1:9501/ and write something. Then end a part and see what happens, for example
//
//     kill -9 PID                            of Redis, which is printed: messages wait until it is started again,
//                                            3 seconds later
//     pkill -9 -f 'cluster: gateway'         nothing is lost
//     pkill -9 -f 'cluster: worker'          nor here
//
// The servers have ports 9501 and 9502, or those of the arguments. Redis must be installed (apt install redis-server);
// it uses a Unix socket and a folder of its own, which are removed at the end.
import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "serve", arguments.count == 4, let port = Int(arguments[1]), let other = Int(arguments[2]) {
    serve(port, other: other, redis: arguments[3])
}
let first = arguments.first.flatMap { Int($0) } ?? 9501
let second = arguments.dropFirst().first.flatMap { Int($0) } ?? first + 1
exit(Parts(first, second).run())
