"""What an instructor looks at after grading: a report on the class, and the scores for the LMS.

Read in this order:

``gathered``    what is known of a class: verdicts from the records, scores from the gradebook, who is missing
``activity``    time and attempts, from the progress files that students may hand in
``analysis``    difficulty, discrimination, failing cases, named mistakes, who is stuck
``alike``       submissions that share what the rest of the class does not write
``page``        all of that as one HTML file and as CSV files
``report``      ``python -m autograder report``
``sheets``      CSV that no spreadsheet takes for formulas
``export``      ``python -m autograder export``, and nbgrader's export plugins for Canvas and Moodle
``feedback``    the feedback page that a student gets, without the network
"""
