"""The reference library of the course: one module a chapter, in the chapters' order.

Chapter modules (``convolution``, ``pooling``, ...) hold what the students of that chapter build; each may import
the chapters before it and the support modules (``syllabus``, ``plots``, ``tables``, ``explore``, ``datasets``,
``frameworks``, ``recorded``), never a later chapter.
Importing ``course_lib`` itself loads nothing else.
"""
