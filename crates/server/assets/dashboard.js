// What pages have beyond HTML: they follow changes, can be gone through by keys, and copy commands.
// Everything works without it.
"use strict";

const pulse = document.getElementById("pulse");

/** Says how the page stands: `live`, `lost` or neither. */
function say(words, kind) {
  if (!pulse) return;
  pulse.textContent = words;
  pulse.className = "pulse " + kind;
}

// Following changes.

/** Tells whether somebody is doing something in a region, so that it is left alone. */
function isInUse(region) {
  const focused = document.activeElement;
  const types = focused && focused.matches("input, textarea, select") && region.contains(focused);
  return types || region.querySelector("details[open], input[type=checkbox]:checked") !== null;
}

/** Loads the page again, and puts what has changed into it. */
async function refresh() {
  const headers = { accept: "text/html", "lockstep-fragment": "1" };
  const answer = await fetch(location.href, { headers, redirect: "error" });
  if (!answer.ok) throw new Error(answer.status);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const region of document.querySelectorAll("[data-live][id]")) {
    if (region === document.body) continue;
    const other = fresh.getElementById(region.id);
    if (!other || isInUse(region) || plain(other) === plain(region)) continue;
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const href = focused && focused.getAttribute("href");
    region.replaceChildren(...other.childNodes);
    decorate(region);
    if (href) region.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
    region.classList.add("fresh");
    region.addEventListener("animationend", () => region.classList.remove("fresh"), { once: true });
  }
}

/** Gives what a region says, without what only the passing of time has changed. */
function plain(region) {
  const copy = region.cloneNode(true);
  copy.querySelectorAll(".copy").forEach((button) => button.remove());
  copy.querySelectorAll("time").forEach((time) => { time.textContent = ""; });
  return copy.innerHTML;
}

const follow = document.body.dataset.live;
let source = null;
let revision = document.body.dataset.revision;
let isLoading = false;
let isStale = false;

/** Refreshes at most once at a time, and once more if something has changed meanwhile. */
async function changed() {
  isStale = true;
  if (isLoading) return;
  isLoading = true;
  try {
    while (isStale) {
      isStale = false;
      await refresh();
      await new Promise((done) => setTimeout(done, 300));
    }
    say("live", "live");
  } catch {
    say("not up to date", "lost");
  }
  isLoading = false;
}

function connect() {
  if (!follow || source || document.hidden) return;
  source = new EventSource(follow + "?from=" + revision);
  source.addEventListener("open", () => say("live", "live"));
  source.addEventListener("error", () => say("connection lost", "lost"));
  source.addEventListener("changed", (event) => {
    revision = event.lastEventId;
    changed();
  });
}

// A page that nobody sees holds no connection, of which browsers have few.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return connect();
  source?.close();
  source = null;
});
addEventListener("pagehide", () => source?.close());
connect();

// Times that pass.

const units = [[172800, 86400, "d"], [7200, 3600, "h"], [120, 60, "min"], [0, 1, "s"]];

function span(seconds) {
  const [, size, name] = units.find(([least]) => seconds >= least);
  return Math.floor(seconds / size) + " " + name;
}

setInterval(() => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-at]")) {
    const passed = Math.floor(Date.now() / 1000) - Number(time.dataset.at);
    const words = passed < 0 ? "in " + span(-passed) : passed < 1 ? "just now" : span(passed) + " ago";
    if (time.textContent !== words) time.textContent = words;
  }
}, 1000);

// On a narrow screen the way about is one line, which begins where one is.

document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Commands to copy.

function decorate(root) {
  if (!navigator.clipboard) return;
  for (const command of root.querySelectorAll(".cli")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command " + command.textContent);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command.firstChild.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    command.append(button);
  }
}
decorate(document);

// Keys: `/` to search, `g` and a letter to go somewhere, Escape to leave a field or a question.

let isGoing = false;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inField = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (inField) event.target.blur();
    event.target.closest("details[open]")?.removeAttribute("open");
    return;
  }
  if (inField) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("q")?.focus();
  } else if (event.key === "g") {
    isGoing = true;
    setTimeout(() => { isGoing = false; }, 1500);
  } else if (isGoing) {
    isGoing = false;
    document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
  }
});
