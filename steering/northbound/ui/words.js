// The controller's words in plain English, as `steering explain` says them: a test holds both together.

export const REASONS = {
  "score": "its score is the lowest",
  "hysteresis": "it was given last from there, and the best is better by less than the hysteresis",
  "rendezvous": "several score the same, and the hash of the flow decided",
  "only-candidate": "it is the only MCP that is left",
  "no-candidate": "no MCP is left",
  "proactive": "entries set ahead lead all TCP of this subscriber there: no SYN of it waits",
  "rule": "the rule says so",
  "no-gateway": "no gateway leads there",
  "port-not-eligible": "the policy's eligible ports do not have it",
  "server-may-be-capable": "the server is not known to lack MPTCP, and is then left to the host",
  "terminate-only": "the rule's terminate_only leaves such connections alone: see --source-port and marker"
};

export const FILTERS = {
  "unreachable": "no path leads through it",
  "unresolved": "it answers neither ARP nor ND",
  "address-family": "it has no address of this family",
  "service-port": "it does not serve this port",
  "referral-port": "the port's protocol carries addresses, and it would change the host's",
  "stretch": "the way through it is too long",
  "full": "it is full",
  "draining": "it is being drained",
  "down": "it is down",
  "sick": "it answers, and serves too little",
  "access-network": "it cannot be reached from this access network",
  "foreign": "another operator runs it, and the policy wants none of those"
};

export const STATES = {
  "syn-pinned": "being set up",
  "answered": "half open",
  "established": "established",
  "plain": "plain TCP",
  "idle": "idle",
  "closing": "closing",
  "linger": "ended, may be joined",
  "withdrawn": "without an MCP"
};

export const OUTCOMES = {
  "asked": "not heard of yet",
  "told": "was sent a reset with the number that it expects, and said nothing more",
  "closed": "its connection is gone",
  "silent": "never answered; its connection may live on"
};

/** 0.5 -> "0.5", 3 -> "3", null -> "–". */
export function number(value) {
  return value === null || value === undefined ? "–" : String(Math.round(value * 1000) / 1000);
}

export function percent(value) {
  return value === null || value === undefined ? "not known" : `${Math.round(value * 100)} %`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let left = value;
  while (left >= 1000 && at < units.length - 1) {
    left /= 1000;
    at += 1;
  }
  return `${at ? left.toFixed(1) : left} ${units[at]}`;
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

export function endpoint(address, port) {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** ["a", "b", "c"] -> "a, b and c". */
export function listing(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** Which controllers of a cluster do not tell their sessions; "" where all do. */
export function unanswered(names) {
  if (!names.length) return "";
  const who = names.length === 1 ? `controller ${names[0]} does` : `controllers ${listing(names)} do`;
  return `Not all sessions are here: ${who} not answer.`;
}
