// The dialogue over TLS by Bun's own server. A benchmark compares ws-server with it.
//
//     bun run bun_echo.js CERTIFICATE PRIVATE_KEY
//
// The first message counts as the login, which is not measured.

const CONGRATULATION =
  "congratulation, you have connect with server\r\nnow, you can do something else";

const [certificate, key] = process.argv.slice(2);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert: Bun.file(certificate), key: Bun.file(key) },
  fetch(request, server) {
    return server.upgrade(request, { data: { isLoggedIn: false } }) ? undefined : new Response("");
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, message) {
      if (!socket.data.isLoggedIn) {
        socket.data.isLoggedIn = true;
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
