"""The notes that Matplotlib would write into a PNG file."""


class PngInfo:
    def add_text(self, key, value):
        """Notes are not kept."""
