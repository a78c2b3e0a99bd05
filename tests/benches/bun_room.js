// The room by Bun's own means: what a benchmark compares the rooms of ws-server with, where there is a
// `bun`. Whatever comes first is taken for a login: it is not what is measured.

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
