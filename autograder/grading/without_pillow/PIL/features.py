"""What Pillow could do: nothing."""


def check(feature):
    return False
