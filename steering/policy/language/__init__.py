"""What every file is written in: YAML with its lines, the values in it, and findings in plain words.

It knows no site and no rule, reads the one file that it is given, and imports no other part of `policy`.
"""
