// A client or a server of the Node library `ws`.
//
//     node_peer.js client URL
//     node_peer.js server
//     node_peer.js tls-server CERTIFICATE KEY
//
// Each line of stdin is an action, each line of stdout an event, both as JSON; see scripted_peer.rs.
// The program exits when the connection ends.
'use strict';

const { readFileSync } = require('node:fs');
const { createServer } = require('node:https');
const { createInterface } = require('node:readline');
const { WebSocket, WebSocketServer } = require('ws');

const emit = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function runConnection(socket) {
  emit('opened');
  const actions = {
    text: (text) => socket.send(text),
    binary: (bytes) => socket.send(Buffer.from(bytes)),
    close: ([code, reason]) => socket.close(code, reason),
  };
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [[action, value]] = Object.entries(JSON.parse(line));
    actions[action](value);
  });
  socket.on('message', (data, isBinary) => {
    emit(isBinary ? { binary: [...data] } : { text: data.toString() });
  });
  socket.on('close', (code, reason) => {
    emit({ closed: [code, reason.toString()] });
    process.exit();
  });
}

const [role, ...args] = process.argv.slice(2);
if (role === 'client') {
  const socket = new WebSocket(args[0]);
  socket.on('open', () => runConnection(socket));
  socket.on('unexpected-response', (request, response) => {
    emit({ refused: response.statusCode });
    process.exit();
  });
} else if (role === 'tls-server') {
  const [cert, key] = args.map((path) => readFileSync(path));
  const https = createServer({ cert, key });
  new WebSocketServer({ server: https }).on('connection', runConnection);
  https.listen(0, '127.0.0.1', () => emit({ listening: `wss://127.0.0.1:${https.address().port}` }));
} else {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('listening', () => emit({ listening: `ws://127.0.0.1:${server.address().port}` }));
  server.on('connection', runConnection);
}
