"""Minutes of the week, which rules with times go by."""

from datetime import datetime


def minute_of_week(moment: datetime) -> int:
    """Minutes since Monday 0:00, local."""
    return moment.weekday() * 1440 + moment.hour * 60 + moment.minute
