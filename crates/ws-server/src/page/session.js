// The connection, from the first attempt to the last.

const session = {
  socket: null,
  // "idle", "connecting", "login" (credentials were sent), "refused" (they were wrong), "open",
  // "closing", or "waiting" to reconnect.
  stage: "idle",
  path: "/",
  // The login that the path requires: "message", "basic", "none", or "" before the server said it.
  login: "",
  // Name and password, kept in memory only; null if they were left out, or on a public path.
  credentials: null,
  // True if a login with these credentials succeeded before, so that the page reconnects by itself.
  wasOpen: false,
  // The number of attempts to reconnect.
  failures: 0,
  // The number of sent messages without an answer.
  unanswered: 0,
  timer: 0,
  // The attempt in progress. It changes when the user does something else meanwhile.
  attempt: null,
};

const isGuest = () => session.login === "none";

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

// Asks for the login of the path, then connects. Each attempt asks again: a public path would show
// the credentials to all its members, and the server may have restarted with another configuration.
async function connect() {
  drop();
  const attempt = (session.attempt = {});
  enter("connecting");
  showState("busy", "connecting");
  $("countdown").textContent = "Connecting.";
  const answer = await ask(session.path);
  if (session.attempt !== attempt) return;
  explainQuestion(session.path, answer.lines);
  if (answer.login) {
    showAnswer(answer);
    openSocket(answer.login);
  } else {
    explainNoHandshake("unsent", session.path, "");
    refuse(answer);
  }
}

function openSocket(login) {
  session.login = login;
  if (login === "none") session.credentials = null;
  else if (!session.credentials) {
    reset();
    showRefusal("idle", "not connected", "This path requires a name and a password.");
    return;
  }
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  // A page cannot set `Authorization`. The browser does, from the URL, after a 401 (Fetch standard).
  // Safari does not (WebKit bug 80362).
  const userinfo = login === "basic" ? `${urlPart("name")}:${urlPart("password")}@` : "";
  const socket = new WebSocket(`${scheme}//${userinfo}${location.host}${session.path}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = opened;
  socket.onmessage = ({ data }) => received(typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = (event) => closed(socket, event);
  session.socket = socket;
  session.unanswered = 0;
}

const urlPart = (key) => encodeURIComponent(session.credentials[key].toWellFormed());

// Closes the connection and ignores its further events.
function drop() {
  clearInterval(session.timer);
  session.attempt = null;
  const { socket } = session;
  if (!socket) return;
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close(1000, "user exit");
  session.socket = null;
}

// Closes the connection and erases the credentials.
function reset() {
  drop();
  session.login = "";
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
    focusForm("name");
  }
}

function opened() {
  addNote(`connected to ${session.path}`);
  explainHandshake(session.path, session.login, session.socket);
  if (session.login === "message") {
    logIn();
    return;
  }
  explainNoLogin(session.login);
  showOpen(isGuest() ? "connected, without a login" : `connected as ${session.credentials.name}`);
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
  $("password").value = "";
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
  focusForm($("name").value ? "password" : "name");
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
  if (session.stage === "connecting") {
    await explainFailure(socket);
    return;
  }
  const isOurs = session.stage === "closing";
  const retry = isOurs ? "no" : retryAfter(session.stage, code);
  const { words } = meaningOf(code);
  const quoted = reason ? ` "${reason}"` : "";
  addNote(`closed: ${code}${quoted}, ${words}`, isOurs ? "" : "bad");
  explainClose(isOurs ? "browser" : "server", code, reason, isOurs ? "" : retry);
  if (retry !== "no") {
    wait(retry, backIn(reason), "connection lost, reconnecting", "");
    return;
  }
  reset();
  if (isOurs) {
    showState("idle", "not connected");
    focusForm("name");
  } else {
    showRefusal("idle", "closed", `Closed with ${code}${quoted}: ${words}.`);
  }
}

// Decides whether and how to reconnect after a close.
function retryAfter(stage, code) {
  const { retry } = meaningOf(code);
  // Without other credentials the result would be the same. But a busy server also refuses, with
  // 1013, a login that succeeded before.
  if (stage === "refused" && !(session.wasOpen && code === 1013)) return "no";
  if (stage === "login" && !session.wasOpen && code !== 1006) return "no";
  return retry;
}

// Explains a handshake that failed. A browser does not report the answer to it, so this asks again
// with a plain request.
async function explainFailure(socket) {
  const answer = await ask(session.path);
  // The user may have begun another connection in the meantime.
  if (session.socket !== socket) return;
  explainNoHandshake("failed", session.path, session.login, answer.lines);
  refuse(answer.login ? hiddenCause() : answer);
}

// Returns what is known of a failed handshake at a path that the server describes.
function hiddenCause() {
  const why = "the handshake failed";
  if (session.login === "basic") {
    $("password").value = "";
    const advice =
      "The server refused the name or the password, or this browser did not send them, as Safari " +
      "does not.";
    // Another attempt with a wrong password would count against this address.
    return { why, advice, retry: "no", least: 0 };
  }
  const advice =
    "The server answers other requests, so a proxy in between may remove the field Upgrade, or " +
    "change the field Host. If Host is changed, the log of the server names the origin of this page.";
  return { why, advice, retry: session.wasOpen ? "back-off" : "no", least: 0 };
}

// Shows why there is no connection. Waits for the next attempt if it may succeed.
function refuse({ why, advice = "", retry, least }) {
  if (retry !== "no") {
    const words = session.wasOpen ? "connection lost, reconnecting" : "not connected, trying again";
    wait(retry, least, words, why);
    return;
  }
  addNote(`not connected: ${why}`, "bad");
  reset();
  // The refusal says it.
  $("path-note").textContent = "";
  showRefusal("idle", "not connected", `Not connected: ${why}. ${advice}`.trim());
}

function wait(retry, least, state, why) {
  const delay = least + delayBefore(retry, session.failures);
  const until = performance.now() + 1000 * delay;
  session.failures += 1;
  drop();
  enter("waiting");
  showState("busy", state);
  const cause = why && `${sentence(why)} `;
  const tick = () => {
    const seconds = Math.ceil((until - performance.now()) / 1000);
    if (seconds <= 0) connect();
    else $("countdown").textContent = `${cause}Attempt ${session.failures} in ${seconds} s.`;
  };
  session.timer = setInterval(tick, 200);
  tick();
}
