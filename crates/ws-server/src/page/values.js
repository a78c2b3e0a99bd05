// A client for one WebSocket that shows and explains its traffic.
//
// Data from the peer is shown as text and never becomes markup. Nothing is stored: credentials and
// messages are gone when the tab is closed. The script has six files, in this order: values (data as
// text), description (of a path, by the server), conversation (messages), wire (frames), session (the
// connection and its reconnects) and page (the controls).
"use strict";

// The longest part of a message that is shown: laying out more would make the browser slow.
const SHOWN_CHARACTERS = 20_000;
const SHOWN_BYTES = 1024;
// The longest text that is parsed as JSON.
const LONGEST_JSON = 65_536;
// The deepest level of JSON that is indented further than the one above it.
const DEEPEST_INDENT = 20;
// The longest delay of the back-off, and the longest random delay, in seconds.
const MAX_BACK_OFF = 30;
const MAX_JITTER = 3;

// The meaning of each close code, and when to reconnect: never, at once, after a random delay, or
// after a delay that grows with each attempt.
const CLOSES = [
  [1000, "normal end", "no"],
  [1001, "going away", "jitter"],
  [1002, "protocol error", "no"],
  [1003, "unsupported message type", "no"],
  [1005, "no close code", "no"],
  [1006, "connection lost without a Close frame", "back-off"],
  [1007, "invalid UTF-8", "no"],
  [1008, "policy violation", "no"],
  [1009, "message too big", "no"],
  [1011, "internal server error", "back-off"],
  [1012, "service restart", "jitter"],
  [1013, "server overloaded, or reader too slow", "back-off"],
  [1014, "bad gateway", "back-off"],
  [3000, "unauthorized", "no"],
  [3003, "forbidden", "no"],
  [3008, "timeout", "now"],
];

function meaningOf(code) {
  const known = CLOSES.find((row) => row[0] === code);
  if (known) return { words: known[1], retry: known[2] };
  if (code >= 4000) return { words: "private application code", retry: "no" };
  if (code >= 3000) return { words: "registered application code", retry: "no" };
  return { words: "unknown close code", retry: "no" };
}

// Returns the delay before the next attempt, in seconds.
function delayBefore(retry, failures) {
  if (retry === "now" && failures === 0) return 0;
  if (retry === "jitter" && failures === 0) return MAX_JITTER * Math.random();
  return Math.min(MAX_BACK_OFF, 2 ** failures) * (0.5 + Math.random() / 2);
}

// Returns the number of seconds after which the server wants clients back, by the reason of its Close
// frame, or 0. The wait is at most ten minutes.
function backIn(reason) {
  const seconds = /\bback in (\d{1,5}) s$/.exec(reason);
  return seconds ? Math.min(600, Number(seconds[1])) : 0;
}

const utf8 = new TextEncoder();
const bytesIn = (data) => (typeof data === "string" ? utf8.encode(data).length : data.length);
const hexOf = (byte) => byte.toString(16).padStart(2, "0");
const hex = (bytes) => Array.from(bytes, hexOf).join(" ");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;
const size = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`);

function truncate(text, length) {
  const more = text.length - length;
  return more > 0 ? `${text.slice(0, length)} … and ${count(more, "more character")}` : text;
}

// Returns a number as bytes in network order.
function bigEndian(number, length) {
  const places = Array.from({ length }, (_, index) => length - 1 - index);
  return places.map((place) => Math.floor(number / 256 ** place) % 256);
}

// Indents valid JSON and changes nothing else: a number keeps all its digits.
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

// Parses a text that is a JSON object or array as a whole. Returns null for any other text.
function parseJson(text) {
  if (text.length > LONGEST_JSON || !/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Returns the content of a message of a room, which is a text of a member or a note, or null.
function roomMessage(json) {
  if (!json || Array.isArray(json)) return null;
  const { from, text, at, joined, left, lost } = json;
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

// Returns a hex dump: offset, bytes, and the bytes as ASCII.
function dump(bytes, width) {
  const lines = [];
  const ascii = (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·");
  for (let start = 0; start < Math.min(bytes.length, SHOWN_BYTES); start += width) {
    const line = bytes.subarray(start, start + width);
    const offset = hex(bigEndian(start, 2)).replace(" ", "");
    lines.push(`${offset}  ${hex(line).padEnd(3 * width)} ${Array.from(line, ascii).join("")}`);
  }
  const more = bytes.length - SHOWN_BYTES;
  if (more > 0) lines.push(`… and ${count(more, "more byte")}`);
  return lines.join("\n");
}

// Parses pairs of hex digits. Returns null if there is anything else.
function parseHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}
