"""The parts of Mininet that the labs use.

Importing Mininet's log changes the class of all loggers that are created afterwards: they get Mininet's level and
output, and our own lines at level "info" would not be shown any more. This module takes that change back.
"""

import logging

from mininet.cli import CLI
from mininet.link import TCLink
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Host, OVSSwitch, RemoteController
from mininet.topo import Topo

__all__ = ["CLI", "Host", "Mininet", "OVSSwitch", "RemoteController", "TCLink", "Topo", "setLogLevel"]

logging.setLoggerClass(logging.Logger)
