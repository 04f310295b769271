// The event stream: Server-Sent Events read by fetch, as EventSource sends no header and a token has no place in a URL.

import { pause } from "./rest.js";

const LONGEST_PAUSE = 15_000; // milliseconds between two tries
const SILENCE = 40_000; // without a byte: the controller sends a comment each 15 s
const MOST_TEXT = 1 << 20; // characters of events that are not complete yet

/** Calls `heard(kind, data)` for each event and `standing(state)`: live, waiting or off. */
export class Stream {
  constructor(rest, heard, standing) {
    this.rest = rest;
    this.heard = heard;
    this.standing = standing;
    this.last = "";
    this.over = false;
    this.tries = 0;
    this.control = null;
  }

  async run() {
    while (!this.over) {
      try {
        await this.follow();
      } catch (error) {
        if (error?.status === 401) {
          this.over = true;
          this.rest.expelled();
        }
      }
      if (this.over) break;
      this.standing("waiting");
      this.tries += 1;
      await pause(Math.min(LONGEST_PAUSE, 500 * 2 ** Math.min(this.tries, 6)));
    }
    this.standing("off");
  }

  stop() {
    this.over = true;
    this.control?.abort();
  }

  async follow() {
    const control = new AbortController();
    this.control = control;
    let silence = setTimeout(() => control.abort(), SILENCE);
    try {
      const headers = this.rest.headers({ Accept: "text/event-stream" });
      if (this.last) headers["Last-Event-ID"] = this.last;
      const answer = await fetch("/v1/events", {
        headers, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", signal: control.signal,
      });
      if (!answer.ok) throw Object.assign(new Error("no stream"), { status: answer.status });
      // Without a last event what happened meanwhile is not told: whoever listens asks for everything again.
      if (!this.last) this.heard("reset", {});
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => control.abort(), SILENCE);
        this.tries = 0;
        this.standing("live");
        text = this.read(text + value);
        if (text.length > MOST_TEXT) return;
      }
    } finally {
      clearTimeout(silence);
      control.abort();
    }
  }

  /** Tell the complete events of `text`; what is left of it. */
  read(text) {
    let begin = 0;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", begin)) {
      this.tell(text.slice(begin, end));
      begin = end + 2;
    }
    return text.slice(begin);
  }

  tell(block) {
    let kind = "message";
    const data = [];
    for (const line of block.split("\n")) {
      const at = line.indexOf(":");
      if (at <= 0) continue;
      const value = line.slice(at + 1).replace(/^ /, "");
      const name = line.slice(0, at);
      if (name === "event") kind = value;
      else if (name === "data") data.push(value);
      else if (name === "id") this.last = value;
    }
    if (!data.length) return;
    try {
      this.heard(kind, JSON.parse(data.join("\n")));
    } catch (error) {
      console.error("an event could not be read", error);
    }
  }
}
