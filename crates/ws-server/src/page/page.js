// The controls of the page: forms, buttons and keys.

// The most bytes that may wait to be sent. With more, the server is not reading.
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

const HINT = $("hint").textContent;

$("login").onsubmit = (event) => {
  event.preventDefault();
  const path = $("path").value;
  const isPublic = $("public").checked;
  const credentials = isPublic ? null : { name: $("name").value, password: $("password").value };
  $("refused").hidden = true;
  const isStillOpen = session.socket?.readyState === WebSocket.OPEN;
  if (session.stage === "refused" && isStillOpen && session.path === path && !isPublic) {
    // The server accepts a few attempts on one connection.
    session.credentials = credentials;
    session.wasOpen = false;
    logIn();
    return;
  }
  if (![...$("paths").options].some((known) => known.value === path)) {
    const option = element("option");
    option.value = path;
    $("paths").append(option);
  }
  begin(path, credentials);
};

$("public").onchange = () => {
  $("name").disabled = $("password").disabled = $("public").checked;
};

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
