// The connection, from the first try to the last.

const session = {
  socket: null,
  // "idle", "connecting", "login" (credentials were sent), "refused" (they were wrong), "open",
  // "leaving", or "waiting" to come back.
  stage: "idle",
  path: "/",
  // Name and password, in memory and nowhere else; null for a public path.
  credentials: null,
  // Whether it was open with these before, so that it comes back by itself.
  wasOpen: false,
  // How many tries to come back there were.
  failures: 0,
  // How many of our messages wait for an answer.
  unanswered: 0,
  timer: 0,
};

const isGuest = () => session.credentials === null;

function enter(stage) {
  session.stage = stage;
  const isBusy = stage === "connecting" || stage === "login";
  const isAgain = session.wasOpen || session.failures > 0;
  const isComingBack = stage === "waiting" || (isBusy && isAgain);
  const isAtForm = stage === "idle" || stage === "refused" || (isBusy && !isAgain);
  $("login").hidden = !isAtForm;
  $("fields").disabled = isBusy;
  $("composer").hidden = stage !== "open";
  $("waiting").hidden = !isComingBack;
  $("disconnect").hidden = stage === "idle" || isComingBack;
}

function begin(path, credentials) {
  forget();
  session.path = path;
  session.credentials = credentials;
  connect();
}

function connect() {
  drop();
  enter("connecting");
  showState("busy", "connecting");
  $("countdown").textContent = "Connecting.";
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${session.path}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = opened;
  socket.onmessage = ({ data }) => received(typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = (event) => closed(socket, event);
  session.socket = socket;
  session.unanswered = 0;
}

// Lets go of a connection, whatever else happens to it.
function drop() {
  clearInterval(session.timer);
  const { socket } = session;
  if (!socket) return;
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close(1000, "user exit");
  session.socket = null;
}

// Ends it all, and forgets the credentials.
function forget() {
  drop();
  session.credentials = null;
  session.wasOpen = false;
  session.failures = 0;
  enter("idle");
}

function leave() {
  if (session.socket?.readyState === WebSocket.OPEN) {
    enter("leaving");
    showState("busy", "closing");
    session.socket.close(1000, "user exit");
  } else {
    forget();
    showState("idle", "not connected");
    $("name").focus();
  }
}

function opened() {
  addNote(`connected to ${session.path}`);
  explainHandshake(session.path, session.socket);
  if (isGuest()) {
    fill("login-frame");
    explainVerdict("public");
    talk("connected, without a login");
  } else {
    logIn();
  }
}

function logIn() {
  const { name, password } = session.credentials;
  const line = `${name}:${password}`;
  enter("login");
  showState("busy", "logging in");
  session.socket.send(line);
  addMessage("sent", "login", bytesIn(line), [`${name}:••••••`]);
  explainLogin(name, bytesIn(line));
}

function talk(words) {
  session.wasOpen = true;
  session.failures = 0;
  $("refused").hidden = true;
  enter("open");
  showState("open", words);
  // It may be open again while somebody reads about the wire.
  if (!$("wire").contains(document.activeElement)) $("text").focus();
}

// Has a person try again, with something else. Whoever is at that already is left alone.
function refuse(stage, state, words) {
  enter(stage);
  showState("closed", state);
  $("refused").textContent = words;
  $("refused").hidden = false;
  if ($("login").contains(document.activeElement)) return;
  ($("public").checked ? $("public") : $("password")).focus();
}

function received(data) {
  const room = showMessage("received", data);
  if (session.stage === "login") {
    const isRight = typeof data === "string" && data.includes("congratulation");
    explainVerdict(isRight ? "right" : "wrong");
    $("password").value = "";
    if (isRight) talk(`connected as ${session.credentials.name}`);
    else refuse("refused", "not logged in", typeof data === "string" ? cut(data, 200) : "no text");
    return;
  }
  explainMessage("received", "server", data);
  const isOfOther = room && (room.note || (!isGuest() && room.from !== session.credentials.name));
  if (isOfOther || session.unanswered === 0) explainMessage("push", "server", data);
  else session.unanswered -= 1;
}

function send(data) {
  session.socket.send(data);
  session.unanswered += 1;
  showMessage("sent", data);
  explainMessage("sent", "browser", data);
}

async function closed(socket, { code, reason }) {
  const side = session.stage === "leaving" ? "browser" : "server";
  const { retry, why = meaningOf(code).words } = await judge(session.stage, code);
  // Meanwhile a person may have gone on to another connection.
  if (session.socket !== socket) return;
  const quoted = reason ? ` "${reason}"` : "";
  addNote(`closed: ${code}${quoted}, ${why}`, side === "browser" ? "" : "bad");
  explainClose(side, code, reason, retry);
  if (retry !== "no") {
    wait(retry);
    return;
  }
  forget();
  if (side === "browser") {
    showState("idle", "not connected");
    $("name").focus();
  } else {
    refuse("idle", "closed", `Closed with ${code}${quoted}: ${why}.`);
  }
}

// Whether and how to come back after a close, and why it came, where more is known than its code.
async function judge(stage, code) {
  const { retry } = meaningOf(code);
  if (stage === "leaving") return { retry: "no" };
  if (stage === "connecting") return whyNot(session.path);
  // Without a right login the same would happen again; but a server that is too busy to check a
  // login that was right before sends it away as well.
  if (stage === "refused" && !(session.wasOpen && code === 1013)) return { retry: "no" };
  if (stage === "login" && !session.wasOpen && code !== 1006) return { retry: "no" };
  if (isGuest() && code === 3008) return { retry: "no", why: "this path wants a login" };
  return { retry };
}

// A browser does not tell why a handshake failed. A plain request for the same path may.
async function whyNot(path) {
  try {
    const response = await fetch(location.origin + path, {
      headers: { Accept: "text/plain" },
      cache: "no-store",
      signal: AbortSignal.timeout(5000),
    });
    const text = cut((await response.text()).trim(), 200);
    if (response.status === 426) {
      const why = "the server refuses the handshake; after many wrong logins it does, for a while";
      return { retry: "back-off", why };
    }
    const isPassing = response.status >= 500 || response.status === 429;
    return { retry: isPassing ? "back-off" : "no", why: `${response.status}, ${text}` };
  } catch {
    return { retry: "back-off", why: "the server cannot be reached" };
  }
}

function wait(retry) {
  const until = performance.now() + 1000 * pauseBefore(retry, session.failures);
  session.failures += 1;
  drop();
  enter("waiting");
  showState("busy", "connection lost, coming back");
  const tick = () => {
    const seconds = Math.ceil((until - performance.now()) / 1000);
    if (seconds <= 0) connect();
    else $("countdown").textContent = `Try ${session.failures} begins in ${seconds} s.`;
  };
  session.timer = setInterval(tick, 200);
  tick();
}
