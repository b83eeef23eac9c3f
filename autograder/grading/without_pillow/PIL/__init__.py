"""Stands in for Pillow while a submission is graded.

Matplotlib does not load without Pillow, and Pillow can turn, resize and filter images, which is what exercises ask
for. This holds the few names that Matplotlib needs in order to load and to save a figure as PNG, and nothing else.
"""
