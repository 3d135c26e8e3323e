// ws on Node: any path echoes, /broadcast sends to all of that path, GET /hello answers.
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');

const at = process.argv.indexOf('--port');
const port = at < 0 ? 0 : Number(process.argv[at + 1]);

const server = http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 12 });
  response.end('hello world.');
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: 16 << 20 });
const group = new Set();

sockets.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (request.url !== '/broadcast') {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    return;
  }
  group.add(socket);
  socket.on('close', () => group.delete(socket));
  socket.on('message', (data, binary) => {
    for (const other of group) other.send(data, { binary });
  });
});

server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => {
  console.log(`ready ${server.address().port} ${process.pid}`);
});
