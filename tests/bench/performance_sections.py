"""What docs/performance.rst shows of the growth curves: which quantities, in which tables and plots, and what they are."""

from typing import NamedTuple


class Quantity(NamedTuple):
    """One measured value. `curve`, `key`: where the JSON of `tests.bench.curves` has it; `subject`: how a sentence about it
    begins."""

    curve: str
    key: str
    heading: str
    unit: str
    subject: str


class Plot(NamedTuple):
    """One SVG. `axis`: of its values, with the unit; `is_log`: that axis is logarithmic."""

    file: str
    title: str
    axis: str
    quantities: tuple[Quantity, ...]
    is_log: bool


class Section(NamedTuple):
    """One heading of the page. `sizes`: what there are more and more of, in the plural; `axis`: of the sizes."""

    title: str
    sizes: str
    axis: str
    text: str
    quantities: tuple[Quantity, ...]
    plots: tuple[Plot, ...]


SET_UP = Quantity("sessions", "setup_us", "Set-up", "us", "A complete set-up takes")
SYN = Quantity("sessions", "syn_us", "SYN answer", "us", "A SYN's answer takes")
SYN_ACK = Quantity("sessions", "syn_ack_us", "SYN/ACK", "us", "A SYN/ACK takes")
JOIN = Quantity("sessions", "join_us", "Join", "us", "A join takes")
RESIDENT = Quantity("sessions", "resident_bytes", "Controller", "bytes", "The whole controller's memory is")
ENGINE = Quantity("memory", "bytes_per_session", "Engine", "bytes", "The engine's memory of a session is")

FIRST = Quantity("switches", "resync_first_ms", "First rule", "ms", "The first rule after a lost link takes")
SLICE = Quantity("switches", "resync_longest_slice_ms", "Longest slice", "ms", "The longest slice takes")
TOTAL = Quantity("switches", "resync_total_ms", "All rules", "ms", "All rules that follow the lost link take")
WEIGHED = Quantity(
    "switches", "weigh_first_ms", "Weight changes", "ms", "The first rule after another weight takes"
)
DECIDED = Quantity(
    "switches", "relink_ms", "Next decision", "ms", "The first decision after a lost link takes"
)
FILLED = Quantity("switches", "fill_s", "All filled", "s", "To make the rules of all switches takes")

CACHED = Quantity("mcps", "decision_large_p50_us", "Pair known", "us", "A decision for a known pair takes")
NEW = Quantity("mcps", "decision_large_first_us", "New pair", "us", "The first decision for a pair takes")

SECTIONS = (
    Section(
        "With live sessions",
        "sessions",
        "live sessions",
        """\
One ``steering run`` on 16 switches takes more and more sessions of the load generator, over TCP. Of each session the host was heard
before a measurement begins. A *set-up* is everything from the first SYN to both entries with the token; a *SYN answer* is its first half
where both entries stand at one switch, a *SYN/ACK* the second half of that. During a measurement sessions go up to the size in the table,
from half of it or more. *Controller* is what its resident memory grew by since it had no session, divided by the
sessions; what it keeps of late decisions and events is in that, and weighs most where sessions are few. *Engine* is the growth in a process that has the engine alone, after
its first 1,000 sessions.
""",
        (SET_UP, SYN, SYN_ACK, JOIN, RESIDENT, ENGINE),
        (
            Plot(
                "sessions-time",
                "Processor time of one, by live sessions",
                "processor time, us",
                (SET_UP, SYN, SYN_ACK, JOIN),
                False,
            ),
            Plot(
                "sessions-memory",
                "Memory of a session, by live sessions",
                "resident memory, bytes a session",
                (RESIDENT, ENGINE),
                True,
            ),
        ),
    ),
    Section(
        "With switches",
        "switches",
        "switches",
        """\
An engine by itself, whose switches are a ring with half as many chords; six of ten have an access network. Up to 64 of them have an MCP and up to 8 a
gateway. Some links go down one after the other: *first rule* is the time until the first changed rule leaves, *all rules* until the last one
does, and *longest slice* what other packets have to wait for meanwhile at most. *Weight changes* is the time to the first rule after a link got
another weight, *next decision* that of the first decision after a lost link. *All filled* is the time for all rules of all switches,
which connect at once. Medians over links, but for the longest slice.
""",
        (FIRST, SLICE, TOTAL, WEIGHED, DECIDED, FILLED),
        (
            Plot(
                "switches-time",
                "A link is lost or changes, by switches",
                "processor time, ms",
                (FIRST, SLICE, TOTAL, WEIGHED),
                True,
            ),
        ),
    ),
    Section(
        "With MCPs",
        "MCPs",
        "MCPs",
        """\
A whole decision, from a flow's addresses to its MCP, in a network of {switches} switches and {gateways} gateways; medians. *Pair known*:
somebody asked for this access edge and this gateway since the network changed; loads change from one decision to the next. *New
pair*: nobody did. A look at the clock, less than a microsecond, is in both.
""",
        (CACHED, NEW),
        (
            Plot(
                "mcps-time",
                "One decision, by MCPs",
                "processor time, us",
                (CACHED, NEW),
                True,
            ),
        ),
    ),
)
