"""Writes docs/files.rst and docs/api.rst from the schemas, docs/commands.rst from the options of all commands, docs/reasons.rst
from the enumerations of events, alarms and refusals, docs/metrics.rst from the collectors, docs/design/pipeline.rst from the table of priorities, and the
table of docs/design/session-life.rst from the transitions, the last two with a picture; `--check` only tells whether they are up to date.

usage: python packaging/reference.py [--check]
"""

import argparse
import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "packaging")]
Json = dict[str, Any]


def _kind(schema: Json) -> str:
    """A schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1].removesuffix("File"))
    if "enum" in schema:
        return " | ".join(f"``{value}``" for value in schema["enum"] if value != "")
    if "const" in schema:
        return f"``{schema['const']}``"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_kind(s) for s in schema[key] if s.get("type") != "null"))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = str(schema.get("description") or schema.get("type", "any"))
    bounds = [(name, schema[key]) for name, key in _BOUNDS if key in schema]
    return words + "".join(f", {name} {value}" for name, value in bounds)


_BOUNDS = (("at least", "minimum"), ("above", "exclusiveMinimum"), ("at most", "maximum"))


def _table(title: str, schema: Json) -> list[str]:
    lines = [title, "-" * len(title), ""]
    if schema.get("description"):
        lines += [schema["description"].strip(), ""]
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else f"default ``{json.dumps(field.get('default'))}``"
        lines += [f"``{name}``", f"    {_kind(field)}; {default}", ""]
    return lines


def files() -> str:
    """docs/files.rst: every key of site and policy files, with a sentence, its default and an example."""
    from sentences import below, explained

    schema = json.loads((ROOT / "policies" / "schema.json").read_text())
    told = explained(schema["$defs"])
    lines = [
        "Site and policy files", "=====================", "",
        "Generated from ``policies/schema.json``, the comments of ``policies/default.policy.yaml`` and",
        "``packaging/sentences.yaml`` by ``packaging/reference.py``.", "",
    ]  # fmt: skip
    first = [ref["$ref"].rsplit("/", 1)[1] for ref in schema["oneOf"]]
    for name in [*first, *sorted(set(schema["$defs"]) - set(first))]:
        model = name.removesuffix("File")
        lines += [f".. _key-{model}:", "", model, "-" * len(model), ""]
        for key, field in schema["$defs"][name].get("properties", {}).items():
            if (model, key) not in told:
                raise SystemExit(
                    f"packaging/sentences.yaml has no sentence for {model}.{key}: write one, with an example"
                )
            one = told[model, key]
            lines += [f"``{key}``", f"    {one.sentence}", ""]
            deeper = below(field) or below(field.get("items", {}))
            lines += [
                f"    Value: :ref:`{deeper} <key-{deeper}>`." if deeper else f"    Value: {_kind(field)}."
            ]
            lines += ["    Required." if one.default == "required" else f"    Default: {one.default}."]
            lines += [f"    Example: ``{key}: {one.example}``", ""] if one.example else [""]
    return "\n".join(lines)


def commands() -> str:
    """docs/commands.rst: every command with its options."""
    from steering.cli.main import build_whole_parser

    lines = [
        "Commands", "========", "",
        "Generated from the options by ``packaging/reference.py``; ``steering COMMAND --help`` says the same.",
        "Exit status: 0 success, 1 what was asked for failed, 2 bad usage or bad input.", "",
    ]  # fmt: skip
    (subparsers,) = [
        one for one in build_whole_parser()._actions if isinstance(one, argparse._SubParsersAction)
    ]
    for word, parser in subparsers.choices.items():
        lines += _command(f"steering {word}", parser, "-")
    return "\n".join(lines)


def _command(title: str, parser: argparse.ArgumentParser, under: str) -> list[str]:
    lines = [title, under * len(title), ""]
    if parser.description:
        lines += [f"{_literal(parser.description.removesuffix('.'))}.", ""]
    if parser.epilog:
        told, _, example = parser.epilog.rpartition("xample: ")
        told = told[:-1].strip()
        lines += [_literal(told), ""] if told else []
        lines += [f"Example: ``{example}``", ""]
    below: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                below += _command(f"{title} {word}", sub, "~")
        elif action.dest != "help" and action.help != argparse.SUPPRESS:
            value = "" if action.nargs == 0 else action.metavar or action.dest.upper()
            words = ", ".join(action.option_strings)
            term = f"{words} {value}".strip() if words else str(value)
            told = parser._get_formatter()._expand_help(action) if action.help else "see above"
            lines += [f"``{term}``", f"    {_literal(told)}", ""]
    return lines + below


def _literal(text: str) -> str:
    """Text with everything escaped that reStructuredText would take for markup."""
    return re.sub(r"([*`|\\])", r"\\\1", text).replace("_ ", "\\_ ")


REASONS = (
    ("Events", "What ``steering events`` and ``/v1/events`` tell, by kind.", "steering/model/event_kind.py", "EventKind"),
    ("Alarms", "What is raised and cleared (``steering_alarm{kind,name}``).", "steering/model/supervision.py", "AlarmKind"),
    ("Refusals", "Why a connection, join or frame was not served (``steering_refusals_total{reason}``).", "steering/model/session.py", "Refusal"),
    ("Joins", "What became of joins (``steering_joins_total{result}``).", "steering/core/counters.py", "JoinResult"),
    ("REST's door", "Why REST turned a connection or request away before it reached a resource (``steering_rest_refused_total{reason}``).", "steering/model/refused_connections.py", "RestRefusal"),
    ("Switches that may not speak", "Why a connection may not speak for the switch whose datapath id it gave.", "steering/model/refused_connections.py", "SwitchRefusal"),
    ("Ends of switches' connections", "``steering_disconnects_total{reason}``.", "steering/openflow/messages/reader.py", "Disconnect"),
    ("Refused reservations", "``steering_reservations_refused_total{reason}``.", "steering/model/reservation.py", "ReservationRefusal"),
    ("What is not kept", "Why a value is not read or not written (``steering_state_refused_total{reason}``).", "steering/store/interface.py", "StateRefusal"),
    ("Mappings that are not kept", "``steering_mappings_refused_total{reason}``.", "steering/model/mapping.py", "MappingRefusal"),
    ("What is not restored", "``steering_not_restored_total{what}``.", "steering/model/kept.py", "LostPiece"),
    ("Probes of MCPs", "``steering_probe_answers_total{answer}``.", "steering/core/counters.py", "ProbeAnswer"),
    ("Aborted sessions", "How a session that was to be aborted ended (``steering_aborts_total{outcome}``).", "steering/core/counters.py", "Abort"),
    ("Set-ups that are not traced", "``steering_traces_skipped_total{reason}``.", "steering/core/counters.py", "TraceSkip"),
    ("Spans that are dropped", "``steering_spans_dropped_total{reason}``.", "steering/core/counters.py", "SpanDrop"),
    ("Reports that are not believed", "``steering_session_reports_refused_total{reason}``.", "steering/core/counters.py", "ReportRefusal"),
)  # fmt: skip


def reasons() -> str:
    """docs/reasons.rst: the words of events, alarms and refusals, with the comments beside them in the code."""
    lines = [
        "Events, alarms and reasons",
        "==========================",
        "",
        "Generated by ``packaging/reference.py``.",
        "",
    ]
    for title, text, path, name in REASONS:
        source = (ROOT / path).read_text(encoding="utf-8")
        rows = source.splitlines()
        (enumeration,) = [
            one for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == name
        ]
        lines += [title, "-" * len(title), "", text, "", ".. list-table::", "    :widths: 30 70", ""]
        for one in enumeration.body:
            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant):
                said = " ".join(
                    re.findall(r"# (.*)$", "\n".join(rows[one.lineno - 1 : one.end_lineno]), re.M)
                )
                told = said or str(one.value.value).replace("-", " ")
                lines += [f"    * - ``{one.value.value}``", f"      - {_literal(told)}"]
        lines.append("")
    return "\n".join(lines)


def metrics() -> str:
    """docs/metrics.rst: every metric of controller and relay."""
    from metric_list import of_cluster, of_controller, of_relay

    lines = [
        "Metrics", "=======", "",
        "Generated from the code by ``packaging/reference.py``. Labels hold no address, token or session (N-7.1): their values",
        "are words of the code, which :doc:`reasons` explains, or names of the site file.", "",
        "Controller", "----------", "",
        "``/metrics`` of the northbound, with a token of role ``reader``. Series of known label values are shown from zero on.", "",
    ]  # fmt: skip
    for metric in of_controller():
        lines += _metric(metric)
    lines += [
        "Cluster", "-------", "",
        "With ``--cluster`` every series of the controller has the label ``controller``, its name there, and there are besides:", "",
    ]  # fmt: skip
    for metric in of_cluster():
        lines += _metric(metric)
    lines += [
        "Relay", "-----", "",
        "``steering relay --metrics ADDRESS:PORT``; no label but the one that is named. Parts that are in use add counters of their",
        "own: ``slow_`` (slow servers), ``plain_`` (servers without MPTCP, and dials by plain TCP), ``uplink_``, ``mappings_`` and ``session_`` (reports), ``events_refused_``.", "",
    ]  # fmt: skip
    for metric in of_relay():
        lines += _metric(metric)
    return "\n".join(lines)


def _metric(metric: Any) -> list[str]:
    from metric_list import OPEN

    head = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
    lines = [f"``{metric.name}{head}``", f"    {metric.type}. {_literal(metric.sentence)}.", ""]
    for label, values in metric.labels.items():
        told = ", ".join(f"``{value}``" for value in values) or OPEN[label]
        lines += [f"    ``{label}``: {told}.", ""]
    return lines


def api() -> str:
    """docs/api.rst: every operation of the northbound."""
    openapi = json.loads((ROOT / "steering" / "northbound" / "openapi.json").read_text())
    lines = [
        "Northbound API", "==============", "",
        "Generated from ``steering/northbound/openapi.json`` by ``packaging/reference.py``.", "",
    ]  # fmt: skip
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            title = f"{method.upper()} {path}"
            lines += [
                title,
                "-" * len(title),
                "",
                f"{operation['summary']}. {operation.get('description', '')}",
                "",
            ]
            for parameter in operation.get("parameters", ()):
                if "name" in parameter:
                    told = [_literal(parameter["description"])] if parameter.get("description") else []
                    where, words = parameter["in"], "; ".join([*told, _kind(parameter["schema"])])
                    lines += [f"``{parameter['name']}`` ({where})", f"    {words}", ""]
            lines += [f"Answers: {', '.join(operation['responses'])}.", ""]
    for name, schema in openapi["components"]["schemas"].items():
        lines += _table(name, schema)
    return "\n".join(lines)


def pipeline() -> str:
    """docs/design/pipeline.rst: the tables of a switch, their rules, and the tables that may follow each."""
    from steering.core.pipeline.priorities import LEVELS
    from steering.model.rules import Table

    edges = sorted({(level.table, then) for level in LEVELS for then in level.then})
    lines = [
        "The pipeline of a switch", "========================", "",
        "Generated from ``steering/core/pipeline/priorities.py`` by ``packaging/reference.py``. The one place for a new",
        "priority is that file; a test refuses a rule that leads to a table its level does not name.", "",
        "Which table may follow which", "----------------------------", "", "::", "",
    ]  # fmt: skip
    for table in Table:
        after = [then.name for one, then in edges if one is table]
        lines.append(
            f"    {table.value} {table.name:<9}--> {', '.join(after) or 'a port, or the controller'}"
        )
    lines += [
        "",
        ".. image:: pipeline.svg",
        "   :alt: Tables as columns, and for each pair the rules that lead from one to the other",
        "",
    ]
    for table in Table:
        title = f"Table {table.value}: {table.name}"
        lines += [title, "-" * len(title), ""]
        lines += [".. list-table::", "    :header-rows: 1", "    :widths: 20 60 20", ""]
        lines += ["    * - Priority", "      - What", "      - Then"]
        for level in sorted((one for one in LEVELS if one.table is table), key=lambda one: -one.lowest):
            span = f"{level.lowest}" + (f" to {level.lowest + level.width}" if level.width else "")
            then = ", ".join(sorted(one.name for one in level.then)) or "\\-"
            lines += [f"    * - {span}", f"      - {level.what}", f"      - {then}"]
        lines.append("")
    return "\n".join(lines)


MADE = ".. Made by packaging/reference.py from steering/core/sessions/transitions.py. Do not edit what follows.\n"


def session_life() -> str:
    """docs/design/session-life.rst: the text above the line MADE is kept; the table and its picture are written below it."""
    from steering.core.sessions.transitions import BEGINNINGS, TRANSITIONS

    rows = [("", how.value, state.value, action) for how, (state, action) in BEGINNINGS.items()]
    rows += [
        (before.value, event.value, step.state.value if step.state else "", step.action)
        for (before, event), step in TRANSITIONS.items()
    ]
    lines = [
        "",
        "The table",
        "---------",
        "",
        "An empty state: there is no session before, or none afterwards.",
        "",
    ]
    lines += [".. list-table::", "   :header-rows: 1", ""]
    cells = [("State", "Event", "Next state", "What the session table does")]
    cells += [
        (before, event, after, f"``{action.__name__}``: {(action.__doc__ or '').splitlines()[0]}")
        for before, event, after, action in rows
    ]
    for row in cells:
        for number, cell in enumerate(row):
            lines.append(f"   {'* -' if number == 0 else '  -'} {cell}".rstrip())
    lines += [
        "",
        "The diagram",
        "-----------",
        "",
        "A column is a state. A row has the events that lead from one to another.",
    ]
    lines += [
        "",
        ".. image:: session-life.svg",
        "   :alt: States as columns, and for each pair the events between them",
        "",
    ]
    text = (ROOT / "docs" / "design" / "session-life.rst").read_text()
    return text.split(MADE)[0] + MADE + "\n".join(lines)


def main() -> int:
    import pictures

    stale = []
    for name, text in (
        ("files.rst", files()),
        ("api.rst", api()),
        ("commands.rst", commands()),
        ("reasons.rst", reasons()),
        ("metrics.rst", metrics()),
        ("design/pipeline.rst", pipeline()),
        ("design/session-life.rst", session_life()),
        ("design/pipeline.svg", pictures.pipeline()),
        ("design/session-life.svg", pictures.session_life()),
    ):
        path = ROOT / "docs" / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path))
        if "--check" not in sys.argv:
            path.write_text(text)
    print(*(stale or ["up to date"]), sep="\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
