"""One file a scenario, each with a `SCENARIO`; none imports another. `catalogue` names them all."""
