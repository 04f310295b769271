// "Why did my connection not aggregate?" in one sentence, from what REST tells of a session.

import { listing, plural } from "./words.js";

/** `session`: as /v1/sessions/ID tells it. `accesses`: the names of all access networks. */
export function whyNot(session, accesses) {
  const subflows = session.subflows;
  if (session.state === "plain") {
    return `It does not aggregate: the answer of ${at(session)} came without MPTCP, so it is plain TCP on one path from now on.`;
  }
  if (session.state === "withdrawn") {
    return "It is left to its ends: host and server speak MPTCP themselves, and no MCP is needed.";
  }
  if (session.state === "syn-pinned") return `Not yet: ${at(session)} has not answered its first SYN.`;
  if (session.state === "answered") return `Not yet: ${at(session)} has answered, and the host has not gone on.`;
  if (!subflows.length) return "It has no subflow now; as long as it is remembered, the host may join it again.";
  const used = distinct(subflows);
  const others = accesses.filter((name) => !used.includes(name));
  if (used.length === 1) return onOne(subflows.length, used[0], others);
  const active = distinct(subflows.filter((one) => (one.wanted ?? "active") === "active" && !one.backup));
  if (active.length > 1) return `It aggregates: ${listing(active)} carry it together to ${at(session)}.`;
  const policy = distinct(subflows.filter((one) => (one.wanted ?? "active") !== "active"));
  if (policy.length) {
    return `It uses ${active[0] ?? "no access"} alone: the policy keeps ${listing(policy)} in reserve.`;
  }
  const reserve = distinct(subflows.filter((one) => one.backup));
  return `It uses ${active[0] ?? "no access"} alone: the host itself marked ${listing(reserve)} as backup.`;
}

function onOne(count, used, others) {
  if (count > 1) return `It does not aggregate: all its ${count} subflows come in by ${used}, and share that line.`;
  const rest = others.length ? `none by ${listing(others)}` : "and there is no other access network";
  return `It does not aggregate: its host has opened one subflow, by ${used}, ${rest}. `
    + "On a Linux host, 'ip mptcp endpoint' and 'ip mptcp limits' say why.";
}

function distinct(subflows) {
  return [...new Set(subflows.map((one) => one.access_network ?? "an unknown access"))];
}

function at(session) {
  return session.mcp === null ? "its MCP" : `MCP ${session.mcp}`;
}

/** How much came in by each access: [{access, subflows, bytes}]. */
export function byAccess(session) {
  const found = new Map();
  for (const one of session.subflows) {
    const name = one.access_network ?? "unknown";
    const before = found.get(name) ?? { access: name, subflows: 0, bytes: 0 };
    found.set(name, { access: name, subflows: before.subflows + 1, bytes: before.bytes + (one.bytes ?? 0) });
  }
  return [...found.values()];
}

/** A decision's head in one sentence. */
export function decided(decision, reasons) {
  const rule = decision.rule ? `rule ${decision.rule}` : "the policy's own terms";
  const why = reasons[decision.reason] ?? decision.reason;
  if (decision.outcome === "proxy") return `It is led to MCP ${decision.winner} by ${rule}: ${why}.`;
  if (decision.outcome === "deny") return `It is denied by ${rule}: ${why}.`;
  return `It goes its natural way, to no MCP, by ${rule}: ${why}.`;
}

export function counted(rows) {
  return rows.some((one) => one.bytes > 0) ? null : `${plural(rows.length, "access", "accesses")}; bytes are counted where a quota wants it`;
}
