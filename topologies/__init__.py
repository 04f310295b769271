"""Mininet labs over the real kernel's MPTCP: one file a scenario, over one shared kit.

`catalogue` lists the scenarios, `custom` offers their networks to Mininet's own command. `scenarios` holds what each
shows, `networks` the plans that several share, `measures` what several do and check, `kit` what every lab stands on,
`programs` what runs beside or inside the hosts, `campaign` many labs at a time.
"""
