"""The commands on a page of the documentation."""

import re
import shlex


def page_commands(page):
    """Yield the commands of a page's shell blocks, each as words."""
    for block in re.findall(r"^ *```shell\n(.*?)```", page.read_text(), re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words
