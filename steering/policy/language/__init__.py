"""What site and policy files have in common: YAML with lines, the kinds of values, and findings in plain words.

It knows no site and no rule, reads only the file that it is given, and imports no other part of `policy`.
"""
