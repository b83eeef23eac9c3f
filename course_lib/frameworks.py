"""Keras with TensorFlow, without the messages that TensorFlow writes while it loads.

    from course_lib.frameworks import keras, tf

The settings are in this one place. Import this module before anything else imports TensorFlow; what is already set in
the environment stays as it is.
"""

import contextlib
import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors only
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@contextlib.contextmanager
def _silence():
    """Send what compiled code writes to standard error nowhere; Python's own errors are still raised."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _without(package):
    """Let imports in the block find that ``package`` is not installed, unless it is loaded already."""
    hidden = package not in sys.modules
    sys.modules.setdefault(package, None)
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]


# scikit-learn, for wrappers that the course does not use, is a quarter of the time that importing Keras takes.
with _silence(), _without("sklearn"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf  # tells of oneDNN before its log level counts

tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf"]
