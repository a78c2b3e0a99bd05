// The controls of the page: forms, buttons and keys.

// The most bytes that may wait to be sent. With more, the server is not reading.
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

const HINT = $("hint").textContent;

// The form's notes about the login of a path.
const LOGIN_NOTES = {
  none: "This path is public: no name and no password are sent.",
  basic:
    "This path requires the login in the handshake. Chrome, Edge and Firefox send it, and remember " +
    "it until they are closed. Safari does not send it: use another browser, or ws-client.",
};

$("login").onsubmit = (event) => {
  event.preventDefault();
  const path = $("path").value;
  const [name, password] = [$("name").value, $("password").value];
  const credentials = name && password ? { name, password } : null;
  $("refused").hidden = true;
  const isStillOpen = session.socket?.readyState === WebSocket.OPEN;
  if (session.stage === "refused" && isStillOpen && session.path === path && credentials) {
    // The server accepts a few attempts on one connection.
    session.credentials = credentials;
    session.wasOpen = false;
    logIn();
    return;
  }
  offerPath(path);
  begin(path, credentials);
};

// Offers a path again in this tab.
function offerPath(path) {
  if ([...$("paths").options].some((known) => known.value === path)) return;
  const option = element("option");
  option.value = path;
  $("paths").append(option);
}

// Fits the controls to the server's answer about the path in the form.
function showAnswer({ login, messages, why }) {
  $("path-note").textContent = why ? sentence(why) : (LOGIN_NOTES[login] ?? "");
  const isPublic = login === "none";
  const hadFocus = $("credentials").contains(document.activeElement);
  $("credentials").hidden = isPublic;
  if (isPublic && hadFocus) $("connect").focus();
  $("hex").disabled = messages ? !messages.includes("binary") : false;
  if ($("hex").disabled) $("kind").value = "text";
}

// Moves the focus to this field of the form, or to the button if the path needs no login.
function focusForm(field) {
  $($("credentials").hidden ? "connect" : field).focus();
}

// The next preview, if the last one had no answer, and the number of those before it.
let [previewTimer, previewFailures] = [0, 0];

// Asks the server about the path in the form before the user connects. Asks again after a while if
// the server may answer then.
async function preview() {
  clearTimeout(previewTimer);
  const path = $("path").value;
  if (!$("path").validity.valid) return;
  const answer = await ask(path);
  const isAtForm = session.stage === "idle" || session.stage === "refused";
  if (!isAtForm || $("path").value !== path) return;
  showAnswer(answer);
  explainQuestion(path, answer.lines);
  fillRequest(path, answer.login);
  previewFailures = answer.retry === "back-off" ? previewFailures + 1 : 0;
  if (previewFailures === 0) return;
  clearTimeout(previewTimer);
  const delay = answer.least + delayBefore("back-off", previewFailures);
  previewTimer = setTimeout(preview, 1000 * delay);
}

$("path").onchange = preview;
$("path").oninput = () => showAnswer({});

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value;
  const data = $("kind").value === "hex" ? parseHex(text) : text;
  let fault = "";
  if (data === null) {
    fault = "Write two hex digits for each byte, such as 48 65 6c 6c 6f.";
  } else if (session.socket.bufferedAmount > MAX_UNSENT_BYTES) {
    fault = "The server is not reading. Wait a moment, then send again.";
  }
  $("hint").classList.toggle("bad", fault !== "");
  $("hint").textContent = fault || HINT;
  if (!fault) {
    send(data);
    $("text").value = "";
    $("text").rows = 1;
  }
  $("text").focus();
};

$("text").onkeydown = (event) => {
  // During input method composition, Enter confirms a candidate.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
};

$("text").oninput = () => {
  $("text").rows = Math.min(6, $("text").value.split("\n").length);
};

$("waiting").onsubmit = (event) => {
  event.preventDefault();
  connect();
};

$("disconnect").onclick = disconnect;
$("give-up").onclick = disconnect;

function foldWire(isFolded) {
  $("wire").hidden = isFolded;
  $("fold").setAttribute("aria-expanded", String(!isFolded));
}

$("fold").onclick = () => foldWire(!$("wire").hidden);
narrow.onchange = () => foldWire(narrow.matches);
foldWire(narrow.matches);
$("insecure").hidden = isSecureContext;
$("path").value = location.pathname + location.search;
offerPath($("path").value);
preview();
