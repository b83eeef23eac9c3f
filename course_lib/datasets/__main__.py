"""``python -m course_lib.datasets mnist cifar10``: fetch and check sets ahead of a class."""

import argparse
import sys

from course_lib import datasets
from course_lib.datasets.download import Unavailable


def main(arguments=None):
    """Load each set that is named, downloading what is missing. Returns the exit status."""
    real = {"mnist": datasets.mnist, "cifar10": datasets.cifar10, "shakespeare": datasets.shakespeare}
    parser = argparse.ArgumentParser(prog="python -m course_lib.datasets", description=__doc__)
    parser.add_argument("sets", nargs="+", choices=list(real))
    parser.add_argument("--folder", help="in place of the environment variable COURSE_DATA")
    options = parser.parse_args(arguments)
    for name in options.sets:
        try:
            print(real[name](folder=options.folder))
        except Unavailable as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
