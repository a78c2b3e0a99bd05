// A room of Bun's own `publish`. A benchmark compares the rooms of ws-server with it, if `bun` is
// installed. The first message counts as the login, which is not measured.

const CONGRATULATION =
  "congratulation, you have connect with server\r\nnow, you can do something else";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request, { data: { isMember: false } }) ? undefined : new Response("");
  },
  websocket: {
    message(member, text) {
      if (!member.data.isMember) {
        member.data.isMember = true;
        member.subscribe("room");
        member.send(CONGRATULATION);
        return;
      }
      const at = new Date().toISOString();
      server.publish("room", JSON.stringify({ from: "admin", text, at }));
    },
  },
});
console.log(`listening on ws://127.0.0.1:${server.port}`);
