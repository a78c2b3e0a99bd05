// The dialogue over TLS by Bun's own means: what a benchmark compares ws-server with.
//
//     bun run bun_echo.js CERTIFICATE PRIVATE_KEY
//
// Whatever comes first is taken for a login: it is not what is measured.

const CONGRATULATION =
  "congratulation, you have connect with server\r\nnow, you can do something else";

const [certificate, key] = process.argv.slice(2);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert: Bun.file(certificate), key: Bun.file(key) },
  fetch(request, server) {
    return server.upgrade(request, { data: { isIn: false } }) ? undefined : new Response("");
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, message) {
      if (!socket.data.isIn) {
        socket.data.isIn = true;
        socket.send(CONGRATULATION);
      } else if (typeof message === "string") {
        socket.send("your submit context: " + message);
      } else {
        socket.send(message);
      }
    },
  },
});
console.log(`listening on wss://127.0.0.1:${server.port}`);
