"""Minutes of the week, in which time windows of rules are given."""

from datetime import datetime


def minute_of_week(moment: datetime) -> int:
    """Minutes since Monday 0:00 in local time."""
    return moment.weekday() * 1440 + moment.hour * 60 + moment.minute
