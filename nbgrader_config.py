"""nbgrader for this course: run its commands from this folder."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "deep-learning"
c.CourseDirectory.source_directory = "notebooks"

# What a student sees where the solution stood.
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "*Write your answer here.*"
# A question graded by hand carries its marking scheme in the question's cell, which only graders see whole.
c.ClearMarkScheme.enforce_metadata = False

# A check that a student deleted comes back before grading.
c.OverwriteCells.add_missing_cells = True

# The verdict is made outside the student's process: autograder/grading/. Reading a submission repairs it as well, so
# that nbgrader's own sanitizing has nothing left to do.
c.Autograde.exporter_class = "autograder.grading.nbgrader_step.SubmissionExporter"
c.Autograde.pre_convert_hook = "autograder.grading.nbgrader_step.prepare"
c.Autograde.sanitize_preprocessors = []
c.Autograde.autograde_preprocessors = [
    "autograder.grading.nbgrader_step.GradeStep",
    "autograder.grading.nbgrader_step.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
]

# Feedback pages are one file each, without a script and without the network; formulas there and in the formgrader are
# MathML, which browsers show by themselves.
c.GenerateFeedback.exporter_class = "autograder.teaching.feedback.FeedbackExporter"
c.HTMLExporter.filters = {"markdown2html": "autograder.teaching.feedback.markdown2html"}
