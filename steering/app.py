"""The application under the name that os-ken's manager loads: `osken-manager steering.app` (os-ken 3.1).

Settings come from STEERING_* environment variables (steering.runtime.settings). os-ken takes only a class that
is defined in the module it was told, hence this one.
"""

from steering.runtime.application import ControllerApp


class Steering(ControllerApp):
    """The steering controller."""
