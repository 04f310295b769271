"""How many descriptors this process may have open, and how many of them connections may take."""

import resource

MOST_DESCRIPTORS = 65_536
OWN = 64  # descriptors for the process's own files and sockets
FEWEST = 8  # connections of each kind that are allowed even with few descriptors
# Most connections to REST: 128 without a known token, 768 of MCPs and readers (three for each of 256 relays), 256 of operators.
MOST_OF_REST = 1_152


def descriptors() -> int:
    """How many descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_descriptors() -> None:
    """Raise this process's soft limit of descriptors to its hard limit: the usual 1,024 are too few for a thousand
    switches."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def switch_places() -> int:
    """How many connections of switches the descriptors allow. REST and the process itself need some too."""
    return max(FEWEST, descriptors() - rest_places() - OWN)


def rest_places() -> int:
    """How many connections of REST the descriptors allow."""
    return max(FEWEST, min(MOST_OF_REST, descriptors() // 4))
