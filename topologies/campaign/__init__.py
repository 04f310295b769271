"""Many labs at a time: who may run beside whom, the runs with their controls, and the table that is made of them."""
