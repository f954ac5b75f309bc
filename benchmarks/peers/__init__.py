"""Other people's tools that choose widths, on the same trained network and table as ours.

They run in an environment of their own, .venv-peers, which `make peers` installs.
"""
