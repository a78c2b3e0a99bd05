// The conversation: messages in both directions, and notes about the connection.

// The most rows that are kept; older ones are removed.
const MAX_ROWS = 1000;

const $ = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 48rem)");

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Actions for the next animation frame. A later action replaces an earlier one of the same name, so
// that a flood of messages is drawn once a frame.
const pending = new Map();
function onNextFrame(name, act) {
  if (pending.size === 0) {
    requestAnimationFrame(() => {
      const acts = [...pending.values()];
      pending.clear();
      for (const each of acts) each();
    });
  }
  pending.set(name, act);
}

// True while the end of the conversation stays in view: until the user scrolls up.
let followsEnd = true;
let [width, height] = [0, 0];

// Updates `followsEnd`; called before a row is added. A change of the log's height alone is not
// scrolling. After a change of its width the lines wrap elsewhere, so the position says nothing.
function trackScroll() {
  const { scrollHeight, scrollTop, clientHeight, clientWidth } = $("log");
  const below = scrollHeight - scrollTop - Math.max(height, clientHeight);
  if (clientWidth === width) followsEnd = below < 40;
}

function showEnd() {
  const log = $("log");
  if (followsEnd) log.scrollTop = log.scrollHeight;
  [width, height] = [log.clientWidth, log.clientHeight];
}

function addRow(row) {
  const log = $("log");
  if (!pending.has("end")) trackScroll();
  onNextFrame("end", showEnd);
  log.append(row);
  while (log.childElementCount > MAX_ROWS) {
    log.firstElementChild.remove();
    log.dataset.cut = "";
  }
}

function clock(when) {
  const time = element("time", "", when.toLocaleTimeString([], { hourCycle: "h23" }));
  time.dateTime = when.toISOString();
  return time;
}

function addNote(text, className = "", when = new Date()) {
  const row = element("li", `note ${className}`);
  row.append(clock(when), " ", element("bdi", "", text));
  addRow(row);
}

function addMessage(direction, kind, bytes, body, when = new Date()) {
  const meta = element("div", "meta");
  meta.append(
    element("span", "", direction === "sent" ? "↑ sent" : "↓ received"),
    clock(when),
    element("span", "", size(bytes)),
    element("span", "", kind),
  );
  const shown = element("div", `body ${kind}`);
  shown.append(...body);
  const row = element("li", direction);
  row.append(meta, shown);
  addRow(row);
}

// Shows a message. Returns its content if it is a message of a room, and null otherwise.
function showMessage(direction, data) {
  const bytes = bytesIn(data);
  if (typeof data !== "string") {
    addMessage(direction, "binary", bytes, [dump(data, narrow.matches ? 8 : 16)]);
    return null;
  }
  const json = parseJson(data);
  const room = direction === "received" ? roomMessage(json) : null;
  if (room?.note) {
    addNote(room.note, "", room.when);
  } else if (room) {
    const text = truncate(room.text, SHOWN_CHARACTERS);
    addMessage(direction, "room", bytes, [element("bdi", "who", room.from), ": ", text], room.when);
  } else if (json) {
    addMessage(direction, "JSON", bytes, [truncate(indented(data), SHOWN_CHARACTERS)]);
  } else {
    addMessage(direction, "text", bytes, [truncate(data, SHOWN_CHARACTERS)]);
  }
  return room;
}

function showState(state, words) {
  $("state").dataset.state = state;
  $("state").textContent = words;
  document.title = `${words} · ws-server`;
}

$("log").onscroll = () => {
  // Until the end is shown again, the rows have moved without the user.
  if (!pending.has("end")) trackScroll();
};
new ResizeObserver(showEnd).observe($("log"));
