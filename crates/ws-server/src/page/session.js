// The connection, from the first attempt to the last.

const session = {
  socket: null,
  // "idle", "connecting", "login" (credentials were sent), "refused" (they were wrong), "open",
  // "closing", or "waiting" to reconnect.
  stage: "idle",
  path: "/",
  // Name and password, kept in memory only; null for a public path.
  credentials: null,
  // True if a login with these credentials succeeded before, so that the page reconnects by itself.
  wasOpen: false,
  // The number of attempts to reconnect.
  failures: 0,
  // The number of sent messages without an answer.
  unanswered: 0,
  timer: 0,
};

const isGuest = () => session.credentials === null;

function enter(stage) {
  session.stage = stage;
  const isBusy = stage === "connecting" || stage === "login";
  const isRetry = session.wasOpen || session.failures > 0;
  const isReconnecting = stage === "waiting" || (isBusy && isRetry);
  const isAtForm = stage === "idle" || stage === "refused" || (isBusy && !isRetry);
  $("login").hidden = !isAtForm;
  $("fields").disabled = isBusy;
  $("composer").hidden = stage !== "open";
  $("waiting").hidden = !isReconnecting;
  $("disconnect").hidden = stage === "idle" || isReconnecting;
}

function begin(path, credentials) {
  reset();
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

// Closes the connection and ignores its further events.
function drop() {
  clearInterval(session.timer);
  const { socket } = session;
  if (!socket) return;
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close(1000, "user exit");
  session.socket = null;
}

// Closes the connection and erases the credentials.
function reset() {
  drop();
  session.credentials = null;
  session.wasOpen = false;
  session.failures = 0;
  enter("idle");
}

function disconnect() {
  if (session.socket?.readyState === WebSocket.OPEN) {
    enter("closing");
    showState("busy", "closing");
    session.socket.close(1000, "user exit");
  } else {
    reset();
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
    showOpen("connected, without a login");
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

function showOpen(words) {
  session.wasOpen = true;
  session.failures = 0;
  $("refused").hidden = true;
  enter("open");
  showState("open", words);
  // After a reconnect, the focus stays in the explanations if it was there.
  if (!$("wire").contains(document.activeElement)) $("text").focus();
}

// Shows the form again, and why. The focus stays in the form if it was there.
function showRefusal(stage, state, words) {
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
    if (isRight) showOpen(`connected as ${session.credentials.name}`);
    else {
      const words = typeof data === "string" ? truncate(data, 200) : "no text";
      showRefusal("refused", "not logged in", words);
    }
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
  const side = session.stage === "closing" ? "browser" : "server";
  const { retry, why = meaningOf(code).words } = await retryAfter(session.stage, code);
  // The user may have opened another connection in the meantime.
  if (session.socket !== socket) return;
  const quoted = reason ? ` "${reason}"` : "";
  addNote(`closed: ${code}${quoted}, ${why}`, side === "browser" ? "" : "bad");
  explainClose(side, code, reason, retry);
  if (retry !== "no") {
    wait(retry);
    return;
  }
  reset();
  if (side === "browser") {
    showState("idle", "not connected");
    $("name").focus();
  } else {
    showRefusal("idle", "closed", `Closed with ${code}${quoted}: ${why}.`);
  }
}

// Decides whether and how to reconnect after a close. Returns the cause too if more is known than
// the close code.
async function retryAfter(stage, code) {
  const { retry } = meaningOf(code);
  if (stage === "closing") return { retry: "no" };
  if (stage === "connecting") return causeOfFailure(session.path);
  // Without other credentials the result would be the same. But a busy server also refuses, with
  // 1013, a login that succeeded before.
  if (stage === "refused" && !(session.wasOpen && code === 1013)) return { retry: "no" };
  if (stage === "login" && !session.wasOpen && code !== 1006) return { retry: "no" };
  if (isGuest() && code === 3008) return { retry: "no", why: "this path requires a login" };
  return { retry };
}

// Asks for the cause of a failed handshake by a plain request for the same path: a browser does not
// report it.
async function causeOfFailure(path) {
  try {
    const response = await fetch(location.origin + path, {
      headers: { Accept: "text/plain" },
      cache: "no-store",
      signal: AbortSignal.timeout(5000),
    });
    const text = truncate((await response.text()).trim(), 200);
    if (response.status === 426) {
      const why = "the server refuses the handshake; after many failed logins, it does for a while";
      return { retry: "back-off", why };
    }
    const isTemporary = response.status >= 500 || response.status === 429;
    return { retry: isTemporary ? "back-off" : "no", why: `${response.status}, ${text}` };
  } catch {
    return { retry: "back-off", why: "the server cannot be reached" };
  }
}

function wait(retry) {
  const until = performance.now() + 1000 * delayBefore(retry, session.failures);
  session.failures += 1;
  drop();
  enter("waiting");
  showState("busy", "connection lost, reconnecting");
  const tick = () => {
    const seconds = Math.ceil((until - performance.now()) / 1000);
    if (seconds <= 0) connect();
    else $("countdown").textContent = `Attempt ${session.failures} in ${seconds} s.`;
  };
  session.timer = setInterval(tick, 200);
  tick();
}
