<?php
// Swoole echo: any path echoes, /broadcast sends to all of that path, GET /hello answers, and GET /users/ID with JSON.
//
//   swoole [--port N] [--mode base|process]
const MAX_MESSAGE = 16 << 20;

$options = getopt('', ['port:', 'mode:']);
$mode = ($options['mode'] ?? 'base') === 'process' ? SWOOLE_PROCESS : SWOOLE_BASE;
$server = new Swoole\WebSocket\Server('127.0.0.1', (int) ($options['port'] ?? 0), $mode);
$server->set([
    'worker_num' => 1,
    'reactor_num' => 1,
    'package_max_length' => MAX_MESSAGE,
    'socket_buffer_size' => 4 * MAX_MESSAGE,
    'buffer_output_size' => 4 * MAX_MESSAGE,
    'max_connection' => 20000,
    'enable_coroutine' => false,
    'log_level' => SWOOLE_LOG_ERROR,
]);

$members = [];
$server->on('workerStart', function ($server) {
    printf("ready %d %d\n", $server->port, getmypid());
});
$server->on('open', function ($server, $request) use (&$members) {
    if ($request->server['request_uri'] === '/broadcast') {
        $members[$request->fd] = true;
    }
});
$server->on('close', function ($server, $fd) use (&$members) {
    unset($members[$fd]);
});
$server->on('message', function ($server, $frame) use (&$members) {
    if (!isset($members[$frame->fd])) {
        $server->push($frame->fd, $frame->data, $frame->opcode);
        return;
    }
    foreach ($members as $fd => $_) {
        $server->push($fd, $frame->data, $frame->opcode);
    }
});
$server->on('request', function ($request, $response) {
    $path = $request->server['request_uri'];
    if (str_starts_with($path, '/users/')) {
        $response->header('Content-Type', 'application/json');
        $response->end(json_encode(['id' => (int) substr($path, 7), 'name' => 'Ada']));
    } else {
        $response->end('hello world.');
    }
});
$server->start();
