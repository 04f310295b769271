"""Every scenario's topology by name for Mininet's own command: `mn --custom topologies/custom.py --topo off-path`.

A scenario with more than one network offers each by a name of its own. The switches connect to a controller that you
start yourself (`--controller remote`). Only `steering lab` starts relays and servers.
"""

import sys
from pathlib import Path

# `mn` executes this file's text, outside its package and without `__file__`; the code object knows the path.
sys.path.append(str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import catalogue
from topologies.kit.network import topology

topos = {
    name: topology(plan) for scenario in catalogue.all_of_them() for name, plan in scenario.networks().items()
}
