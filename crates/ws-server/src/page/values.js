// One WebSocket, what goes over it, and what that means.
//
// What a peer sends is shown as text and never becomes markup. Nothing is stored: the credentials
// and all that was said are gone with the tab. This is one script in five files, in this order:
// values (what data means, as text), conversation (what was said), wire (how it was said), session
// (the connection, from the first try to the last) and page (what a person does).
"use strict";

// How much of one message is shown; nobody reads more, and a browser would lay it all out.
const SHOWN_CHARACTERS = 20_000;
const SHOWN_BYTES = 1024;
// The longest text that is looked at as JSON.
const LONGEST_JSON = 65_536;
// The deepest level of JSON that is set in further than the one above it.
const DEEPEST_INDENT = 20;
// The longest pause between two tries to come back, and the longest random moment, in seconds.
const LONGEST_PAUSE = 30;
const LONGEST_MOMENT = 3;

// What a close code means, and whether to come back: not without a change, at once, after a random
// moment, or after a pause that grows from try to try.
const CLOSES = [
  [1000, "normal end", "no"],
  [1001, "it is going away", "jitter"],
  [1002, "protocol error", "no"],
  [1003, "this kind of message is not taken here", "no"],
  [1005, "closed without a code", "no"],
  [1006, "lost without a close frame", "back-off"],
  [1007, "a text was not UTF-8", "no"],
  [1008, "against the server's policy", "no"],
  [1009, "too big", "no"],
  [1011, "the server failed", "back-off"],
  [1012, "the server restarts", "jitter"],
  [1013, "the server is overloaded, or this reader too slow", "back-off"],
  [1014, "a gateway failed", "back-off"],
  [3000, "not authorized, or no longer", "no"],
  [3003, "no right to be here, or no longer", "no"],
  [3008, "time-out", "now"],
];

function meaningOf(code) {
  const known = CLOSES.find((row) => row[0] === code);
  if (known) return { words: known[1], retry: known[2] };
  if (code >= 4000) return { words: "a reason of this server's own", retry: "no" };
  if (code >= 3000) return { words: "a reason registered by some application", retry: "no" };
  return { words: "an unknown reason", retry: "no" };
}

// How long to wait before the next try, in seconds.
function pauseBefore(retry, failures) {
  if (retry === "now" && failures === 0) return 0;
  if (retry === "jitter" && failures === 0) return LONGEST_MOMENT * Math.random();
  return Math.min(LONGEST_PAUSE, 2 ** failures) * (0.5 + Math.random() / 2);
}

const utf8 = new TextEncoder();
const bytesIn = (data) => (typeof data === "string" ? utf8.encode(data).length : data.length);
const hexOf = (byte) => byte.toString(16).padStart(2, "0");
const hex = (bytes) => Array.from(bytes, hexOf).join(" ");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const size = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`);

function cut(text, length) {
  const more = text.length - length;
  return more > 0 ? `${text.slice(0, length)} … and ${count(more, "more character")}` : text;
}

// The bytes of a number, the greatest first.
function bigEndian(number, length) {
  const places = Array.from({ length }, (_, index) => length - 1 - index);
  return places.map((place) => Math.floor(number / 256 ** place) % 256);
}

// Sets valid JSON in, and changes nothing else: a number keeps all its digits.
function indented(json) {
  let depth = 0;
  const line = () => "\n" + "  ".repeat(Math.min(depth, DEEPEST_INDENT));
  const tokens = /"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[[{\]},:]|\s+/g;
  return json.replace(tokens, (token) => {
    const first = token[0];
    if (first === '"') return token;
    if (first === ",") return token + line();
    if (first === ":") return ": ";
    if (first === "{" || first === "[") {
      if (token.length > 1) return first + token.at(-1);
      depth += 1;
      return token + line();
    }
    if (first === "}" || first === "]") {
      depth -= 1;
      return line() + token;
    }
    return "";
  });
}

// Finds JSON in a text: all of it, or an object at its end, as an echo has it behind its prefix.
function findJson(text) {
  const start = /^\s*\[/.test(text) ? 0 : text.indexOf("{");
  if (start < 0 || text.length > LONGEST_JSON) return null;
  const [before, json] = [text.slice(0, start), text.slice(start)];
  try {
    return { before, json, value: JSON.parse(json) };
  } catch {
    return null;
  }
}

// What a room says, if this is one of its messages: a text of somebody, or a note.
function roomMessage(found) {
  if (!found || found.before || Array.isArray(found.value)) return null;
  const { from, text, at, joined, left, lost } = found.value;
  if (Number.isInteger(lost)) {
    return { note: `too slow for the room: ${count(lost, "message")} lost`, when: new Date() };
  }
  const when = new Date(at);
  if (typeof at !== "string" || Number.isNaN(when.getTime())) return null;
  if (typeof from === "string" && typeof text === "string") return { from, text, when };
  if (typeof joined === "string") return { note: `${joined} joined`, when };
  if (typeof left === "string") return { note: `${left} left`, when };
  return null;
}

// Bytes as they are dumped everywhere: where they stand, what they are, and what as text.
function dump(bytes, width) {
  const lines = [];
  const sign = (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·");
  for (let start = 0; start < Math.min(bytes.length, SHOWN_BYTES); start += width) {
    const line = bytes.subarray(start, start + width);
    const place = hex(bigEndian(start, 2)).replace(" ", "");
    lines.push(`${place}  ${hex(line).padEnd(3 * width)} ${Array.from(line, sign).join("")}`);
  }
  const more = bytes.length - SHOWN_BYTES;
  if (more > 0) lines.push(`… and ${count(more, "more byte")}`);
  return lines.join("\n");
}

// The bytes that are written as hex digits, or null.
function parseHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}
