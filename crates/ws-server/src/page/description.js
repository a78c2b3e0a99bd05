// The server's description of a path, which says the login that the path requires.

// The longest wait for the server's answer, in seconds: the server's own deadline for a request.
const ANSWER_TIMEOUT = 10;
// The longest delay that an answer may ask for, in seconds. A browser's timer of more than 24 days
// ends at once.
const MAX_RETRY_AFTER = 3600;
const LOGINS = ["message", "basic", "none"];
const NO_DESCRIPTION = "the answer does not say which login this path requires";

// Asks the server to describe a path. Returns the answer:
// - `lines`: the answer as text, for the explanations,
// - `login` and `messages`, if the server described the path,
// - otherwise `why`, `retry` and the least delay before the next attempt, in seconds.
async function ask(path) {
  try {
    const response = await fetch(location.origin + path, {
      headers: { Accept: "application/json" },
      cache: "no-store",
      // Another server cannot describe this path.
      redirect: "manual",
      signal: AbortSignal.timeout(1000 * ANSWER_TIMEOUT),
    });
    return answerOf(response, (await response.text()).trim());
  } catch ({ name }) {
    const isLate = name === "TimeoutError";
    const why = isLate
      ? `the server did not answer within ${ANSWER_TIMEOUT} s`
      : "the server cannot be reached";
    return { lines: "(no answer)", why, retry: "back-off", least: 0 };
  }
}

function answerOf(response, text) {
  if (response.type === "opaqueredirect") {
    const why = `the server answered with a redirect: ${NO_DESCRIPTION}`;
    return { lines: "(a redirect)", why, retry: "no", least: 0 };
  }
  const { status, statusText } = response;
  const [kind] = (response.headers.get("Content-Type") ?? "").split(";");
  // The server's own refusals are text. A proxy may send a page.
  const shown = ["text/plain", "application/json"].includes(kind) ? truncate(text, 200) : "";
  const lines = [`${status} ${statusText}`, shown].join("\n\n").trim();
  const description = status === 200 ? parseDescription(text) : null;
  if (description) return { lines, ...description };
  // A server that cannot describe its paths answers 426.
  const isUndescribed = status === 200 || status === 426;
  const said = isUndescribed ? NO_DESCRIPTION : shown;
  return {
    lines,
    why: `the server answered ${status}${said ? `, ${said}` : ""}`,
    retry: status === 429 || status >= 500 ? "back-off" : "no",
    least: Math.min(Math.max(Number(response.headers.get("Retry-After")) || 0, 0), MAX_RETRY_AFTER),
  };
}

// Returns the login and the kinds of messages of a path, or null.
function parseDescription(text) {
  try {
    const { login, messages } = JSON.parse(text);
    return LOGINS.includes(login) && Array.isArray(messages) ? { login, messages } : null;
  } catch {
    return null;
  }
}
