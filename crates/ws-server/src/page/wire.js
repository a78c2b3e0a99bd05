// What happens on the wire. The sentences stand in the document; here are the values in them.

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const [TEXT, BINARY, CLOSE] = [1, 2, 8];
const IS_ENCRYPTED = location.protocol === "https:";
const OPCODES = { [TEXT]: "text", [BINARY]: "binary", [CLOSE]: "close" };

function fill(name, ...content) {
  document.querySelector(`[data-fill="${name}"]`).replaceChildren(...content);
}

// Of the sentences of a name, shows the one that is true.
function tell(name, when) {
  for (const sentence of document.querySelectorAll(`[data-of="${name}"]`)) {
    sentence.hidden = sentence.dataset.when !== when;
  }
}

// Marks a step as the last one that happened.
function happened(name) {
  for (const step of document.querySelectorAll("details.now")) step.classList.remove("now");
  const step = $(`step-${name}`);
  step.classList.add("done", "now");
  if ($("follow").checked) step.open = true;
}

function cell(bytes, label, className = "") {
  const made = element("span", `cell ${className}`);
  made.append(element("b", "", bytes), element("i", "", label));
  return made;
}

// Draws a frame (RFC 6455 section 5.2), and returns how long its header is.
function drawFrame(name, side, opcode, length, preview) {
  const isMasked = side === "browser";
  const mask = isMasked ? 0x80 : 0;
  const long = length < 126 ? [] : bigEndian(length, length < 65_536 ? 2 : 8);
  const short = { 0: length, 2: 126, 8: 127 }[long.length];
  const told = long.length > 0 ? "length follows" : `length ${length}`;
  const cells = [
    cell(hexOf(0x80 | opcode), `FIN, ${OPCODES[opcode]}`),
    cell(hexOf(mask | short), isMasked ? `MASK, ${told}` : told),
  ];
  if (long.length > 0) cells.push(cell(hex(long), `length ${length.toLocaleString("en")}`));
  if (isMasked) cells.push(cell("·· ·· ·· ··", "masking key"));
  const payload = `${count(length, "byte")}${isMasked ? ", masked" : ""}`;
  if (length > 0) cells.push(cell(preview, payload, "payload"));
  fill(`${name}-frame`, ...cells);
  return 2 + long.length + (isMasked ? 4 : 0);
}

function explainMessage(name, side, data) {
  soon(name, () => {
    const isText = typeof data === "string";
    const length = bytesIn(data);
    const start = isText ? data.slice(0, 60) : hex(data.subarray(0, 12));
    const preview = data.length > (isText ? 60 : 12) ? `${start}…` : start;
    const header = drawFrame(name, side, isText ? TEXT : BINARY, length, preview);
    const content = `${count(length, "byte")} of ${isText ? "text" : "data"}`;
    const total = count(header + length, "byte");
    const where = IS_ENCRYPTED ? "within TLS" : "on the wire";
    fill(name, `${count(header, "byte")} of header around ${content}: ${total} ${where}.`);
    happened(name);
  });
}

function explainHandshake(path, { protocol, extensions }) {
  const request = [
    `GET ${path} HTTP/1.1`,
    `Host: ${location.host}`,
    `Origin: ${location.origin}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: (drawn by the browser)",
  ];
  const response = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: (follows from the key)",
  ];
  if (protocol) response.push(`Sec-WebSocket-Protocol: ${protocol}`);
  if (extensions) response.push(`Sec-WebSocket-Extensions: ${extensions}`);
  fill("request", request.join("\n"));
  fill("response", response.join("\n"));
  happened("handshake");
}

// Computes the accept value of a new key, as the server does it for the browser's.
async function drawKey() {
  tell("key", isSecureContext ? "drawn" : "fixed");
  tell("tls", IS_ENCRYPTED ? "on" : "off");
  let [key, accept] = ["dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];
  let digest = Uint8Array.from(atob(accept), (byte) => byte.charCodeAt(0));
  if (isSecureContext) {
    key = base64(crypto.getRandomValues(new Uint8Array(16)));
    digest = new Uint8Array(await crypto.subtle.digest("SHA-1", utf8.encode(key + GUID)));
    accept = base64(digest);
  }
  fill("key", key);
  fill("joined", key + GUID);
  fill("digest", hex(digest));
  fill("accept", accept);
}

function explainLogin(name, length) {
  drawFrame("login", "browser", TEXT, length, `${name}:••••••`);
  tell("verdict", "open");
  happened("login");
}

function explainVerdict(verdict) {
  tell("verdict", verdict);
  happened("login");
}

function explainClose(side, code, reason, retry) {
  // 1005 stands for a Close frame without a code, and 1006 for none.
  tell("close", code === 1006 ? "nobody" : side);
  tell("return", retry);
  fill("close-frame");
  fill("close", `Code ${code}: ${meaningOf(code).words}.`);
  if (code === 1005) drawFrame("close", side, CLOSE, 0, "");
  else if (code !== 1006) {
    const preview = `${hex(bigEndian(code, 2))} ${reason}`;
    drawFrame("close", side, CLOSE, 2 + bytesIn(reason), preview);
  }
  happened("close");
}

// Whoever opens a step to read it does not want another one to open in its place.
for (const summary of document.querySelectorAll("summary")) {
  summary.onclick = () => {
    $("follow").checked = false;
  };
}
$("redraw").onclick = drawKey;
drawKey();
