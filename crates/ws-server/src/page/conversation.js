// The conversation: what was said, and what became of the connection.

// How many rows are kept.
const KEPT_ROWS = 1000;

const $ = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 48rem)");

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// What is to be done before the page is drawn next, once for each name: a flood of messages costs
// no more than the last of them.
const due = new Map();
function soon(name, act) {
  if (due.size === 0) {
    requestAnimationFrame(() => {
      const acts = [...due.values()];
      due.clear();
      for (const each of acts) each();
    });
  }
  due.set(name, act);
}

// Whether the end of the conversation is to stay in view: unless a person has scrolled up.
let followsEnd = true;
let [width, height] = [0, 0];

// To be asked before something changes. A log that has become higher or lower since the end was
// shown last, because something else went or came, is where it was; and one whose lines are broken
// elsewhere now tells nothing.
function noteScroll() {
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
  if (!due.has("end")) noteScroll();
  soon("end", showEnd);
  log.append(row);
  while (log.childElementCount > KEPT_ROWS) {
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

// Shows a message, and returns what a room says by it, if that is what it is.
function showMessage(direction, data) {
  const bytes = bytesIn(data);
  if (typeof data !== "string") {
    addMessage(direction, "binary", bytes, [dump(data, narrow.matches ? 8 : 16)]);
    return null;
  }
  const json = findJson(data);
  const room = direction === "received" ? roomMessage(json) : null;
  if (room?.note) {
    addNote(room.note, "", room.when);
  } else if (room) {
    const text = cut(room.text, SHOWN_CHARACTERS);
    addMessage(direction, "room", bytes, [element("bdi", "who", room.from), ": ", text], room.when);
  } else if (json) {
    const text = json.before + indented(json.json);
    addMessage(direction, "JSON", bytes, [cut(text, SHOWN_CHARACTERS)]);
  } else {
    addMessage(direction, "text", bytes, [cut(data, SHOWN_CHARACTERS)]);
  }
  return room;
}

function showState(state, words) {
  $("state").dataset.state = state;
  $("state").textContent = words;
  document.title = `${words} · ws-server`;
}

$("log").onscroll = () => {
  // Until the end is shown again, it is the rows that have moved, and nobody has scrolled.
  if (!due.has("end")) noteScroll();
};
new ResizeObserver(showEnd).observe($("log"));
