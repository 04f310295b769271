// Changes: what will happen is told first, then it is done, and what came of it is told.

import { byId, el, say } from "./dom.js";
import { words } from "./rest.js";

let waiting = null;

/** Ask before a change. `body`: nodes that say what will happen. `act`: does it and returns what to tell. */
export function ask({ title, yes, body, act }) {
  const dialog = byId("ask");
  say(byId("ask-title"), title);
  say(byId("ask-yes"), yes);
  say(byId("ask-refused"), "");
  byId("ask-yes").disabled = false;
  byId("ask-body").replaceChildren(...body);
  waiting = act;
  dialog.showModal();
}

export function prepare() {
  const dialog = byId("ask");
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const act = waiting;
    if (!act) return;
    waiting = null; // a second press does nothing
    byId("ask-yes").disabled = true;
    try {
      tell(await act());
      dialog.close();
    } catch (error) {
      say(byId("ask-refused"), words(error));
      waiting = act;
      byId("ask-yes").disabled = false;
    }
  });
  byId("ask-no").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => (waiting = null));
}

let silent = 0;

/** Tell the outcome, for some seconds. */
export function tell(text) {
  const told = byId("told");
  say(told, text);
  clearTimeout(silent);
  silent = setTimeout(() => say(told, ""), 8_000);
}

export function paragraph(text) {
  return el("p", {}, text);
}
