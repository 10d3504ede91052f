"""PyTorch's layers around the course's: what theirs take beyond the lesson.

`tinytorch.nn` imports each file when a name of it is asked for. A class here extends the student's, whose code runs.
"""
