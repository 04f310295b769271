"""What the labs use of Mininet.

To import its log makes every logger that anybody creates afterwards one of Mininet's kind, with a level and an
output of its own, so that nothing of ours at "info" would be seen again; that is taken back here.
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
